/* NSS softoken as a PKCS#11 module that starts by itself: its C_Initialize wants to be told where its database is, and
 * no program but NSS tells it. The folder is in SOFTTOKEN_DIRECTORY. */

#define _GNU_SOURCE
#include "../faulty/pkcs11_min.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

/* CK_C_INITIALIZE_ARGS as NSS has it, with one member more than the standard. */
typedef struct {
    void *mutexes[4];
    CK_FLAGS flags;
    char *parameters;
    void *reserved;
} NSS_INITIALIZE_ARGS;

#define CKF_OS_LOCKING_OK 2UL

static const CK_FUNCTION_LIST *real;

static CK_RV initialize(void *arguments)
{
    char parameters[4096];
    const char *directory = getenv("SOFTTOKEN_DIRECTORY");
    (void)arguments;
    snprintf(parameters, sizeof parameters,
             "configdir='sql:%s' certPrefix='' keyPrefix='' secmod='secmod.db' flags=", directory ? directory : "");
    NSS_INITIALIZE_ARGS ours = {.flags = CKF_OS_LOCKING_OK, .parameters = parameters};
    return real->C_Initialize(&ours);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **functions)
{
    static CK_FUNCTION_LIST list;
    CK_RV (*get)(CK_FUNCTION_LIST **) = NULL;
    void *module = dlopen("libsoftokn3.so", RTLD_NOW | RTLD_LOCAL);
    if (module != NULL)
        *(void **)&get = dlsym(module, "C_GetFunctionList");
    if (get == NULL || get((CK_FUNCTION_LIST **)&real) != CKR_OK)
        return CKR_GENERAL_ERROR;
    list = *real;
    list.C_Initialize = initialize;
    *functions = &list;
    return CKR_OK;
}
