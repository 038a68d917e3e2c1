/* A PKCS#11 module that passes every call on to a real one, and fails on request.
 *
 * FAULTY_MODULE names the real module (SoftHSM when unset), FAULTY_SCRIPT a file that is read again at every call, so
 * that a test can change the faults of a running process. Replace that file atomically. One `key = value` a line;
 * empty lines and lines that begin with # are nothing; an unknown key or function aborts. FUNCTION is any function of
 * PKCS#11 v2.40, or `load`: the moment the module is loaded. Numbers are decimal, or hexadecimal with 0x. Calls are
 * counted per process and line, from 1, since that very line appeared in the script. (*) marks keys that may repeat.
 *
 *   log = PATH                      append the name of each function called, a line each, never an argument
 *   fail = FUNCTION:RV[:N[:M]]      (*) returns the CKR RV from the N-th call on, M times (the default: for ever)
 *   slow = FUNCTION:MS              (*) sleeps before the call
 *   hang = FUNCTION                 (*) sleeps for an hour
 *   crash = FUNCTION                (*) raises SIGSEGV
 *   remove_at = FUNCTION[:N]        the token is pulled out at the N-th call, which returns CKR_DEVICE_REMOVED. Its
 *                                   sessions are gone (CKR_SESSION_HANDLE_INVALID), also when it comes back. While it
 *                                   is out its slot gives CKR_TOKEN_NOT_PRESENT. It comes back when this line leaves
 *                                   the script or changes, or with:
 *   removed = 0|1                   0 puts in what `remove_at` pulled out, 1 pulls out every token
 *   tries = N                       the user PIN has N tries left. Wrong ones of C_Login (also context-specific) and
 *                                   C_SetPIN count down in the file SCRIPT.state ("left N"), shared by all processes;
 *                                   a right one and C_InitPIN set them to tries_max, and so does C_InitToken. The token
 *                                   flags follow. The last wrong try still gives CKR_PIN_INCORRECT, the next
 *                                   CKR_PIN_LOCKED. Another N in the script starts anew. One count for all tokens.
 *   tries_max = N                   the default is 3
 *   always_authenticate = ID|all    (*) private keys with this CKA_ID (hexadecimal) have CKA_ALWAYS_AUTHENTICATE: to
 *                                   sign or decrypt without a context-specific login gives CKR_USER_NOT_LOGGED_IN and
 *                                   ends the operation
 *   context_pin = PIN               for that login; the default is the PIN of this process's last user login
 *   stuck_operations = 1            operations that are refused stay active, as on OpenSC and tpm2-pkcs11
 *   protected_path = 1              there is a pin pad, used when C_Login gets no PIN: after pinpad_delay_ms = MS,
 *   pinpad_pin = PIN                this is entered; without it the person cancels (CKR_FUNCTION_CANCELED)
 *   no_mechanism = TYPE             (*) is not in the list, and gives CKR_MECHANISM_INVALID when used
 *   attribute_fails = TYPE          (*) a template with this attribute gives CKR_ATTRIBUTE_TYPE_INVALID, nothing filled
 */

#define _GNU_SOURCE
#include "script.h"

#include <dlfcn.h>
#include <signal.h>

enum { WANTING = 256, LISTED = 512 };
enum kind { NONE, TOKEN, SESSION, SIGNING, DECRYPTING, MECHANISM };

static const CK_FUNCTION_LIST *real;
static CK_SESSION_HANDLE wanting[WANTING]; /* sessions whose operation waits for a context-specific login; 0 is free */
static char user_pin[TEXT];                /* of the last user login */

/* The real module forgets the sessions, as it would without the token. */
static void pull_out(CK_SLOT_ID slot)
{
    CK_SLOT_ID slots[LISTED];
    CK_ULONG count = LISTED;
    if (slot != ALL_SLOTS)
        real->C_CloseAllSessions(slot);
    else if (real->C_GetSlotList(CK_TRUE, slots, &count) == CKR_OK)
        for (CK_ULONG i = 0; i < count; i++)
            real->C_CloseAllSessions(slots[i]);
}

/* Replaces `from` by `to` among the sessions that want a login; says whether `from` was there. */
static bool replace_wanting(CK_SESSION_HANDLE from, CK_SESSION_HANDLE to)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < WANTING && !found; i++)
        if (wanting[i] == from) {
            wanting[i] = to;
            found = true;
        }
    pthread_mutex_unlock(&lock);
    return found;
}

static bool wants_login(CK_SESSION_HANDLE session)
{
    return replace_wanting(session, session);
}

/* The standard ends an operation that fails, but the real module does not know that it failed: use it up. */
static void end_operation(bool signing, CK_SESSION_HANDLE session)
{
    CK_BYTE data[1] = {0}, unused[4096];
    CK_ULONG length = sizeof unused;
    replace_wanting(session, 0);
    (signing ? real->C_Sign : real->C_Decrypt)(session, data, sizeof data, unused, &length);
    length = sizeof unused;
    (signing ? real->C_SignFinal : real->C_DecryptFinal)(session, unused, &length);
}

static void write_log(const char *name)
{
    char path[TEXT];
    if (!setting("log", 0, path))
        return;
    int log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log < 0 || dprintf(log, "%s\n", name) < 0)
        die("cannot write the log", path);
    close(log);
}

static bool is_hidden(CK_MECHANISM_TYPE type)
{
    return listed("no_mechanism", type);
}

/* What the state of the token, and not a line about this function, says to a call. */
static CK_RV check_state(enum kind kind, CK_ULONG id, CK_SLOT_ID slot, bool known, const CK_MECHANISM *mechanism)
{
    if (kind == TOKEN && is_out(slot))
        return CKR_TOKEN_NOT_PRESENT;
    if (kind >= SESSION && (!known || is_out(slot)))
        return CKR_SESSION_HANDLE_INVALID;
    if (mechanism != NULL && is_hidden(mechanism->mechanism))
        return CKR_MECHANISM_INVALID;
    if ((kind == SIGNING || kind == DECRYPTING) && wants_login(id))
        return CKR_USER_NOT_LOGGED_IN;
    return CKR_OK;
}

/* Begins every call: the real function follows only if this returns CKR_OK. `id` is of the slot or the session. */
static CK_RV enter(const char *name, enum kind kind, CK_ULONG id, const CK_MECHANISM *mechanism)
{
    CK_SESSION_INFO info = {.slotID = kind == TOKEN ? id : ALL_SLOTS};
    bool known = kind < SESSION || real->C_GetSessionInfo(id, &info) != CKR_SESSION_HANDLE_INVALID;
    struct effect effect = apply_script(name, info.slotID);
    write_log(name);
    wait_ms(effect.delay_ms);
    if (effect.crash)
        raise(SIGSEGV);
    if (real != NULL && (effect.pulled || number("removed", 0) == 1))
        pull_out(effect.pulled ? info.slotID : ALL_SLOTS);
    CK_RV rv = effect.rv != CKR_OK ? effect.rv : check_state(kind, id, info.slotID, known, mechanism);
    if ((kind == SIGNING || kind == DECRYPTING) && rv != CKR_OK && rv != CKR_BUFFER_TOO_SMALL
        && number("stuck_operations", 0) == 0)
        end_operation(kind == SIGNING, id);
    return rv;
}

#define WHERE_NONE 0, NULL
#define WHERE_TOKEN slot, NULL
#define WHERE_SESSION session, NULL
#define WHERE_SIGNING session, NULL
#define WHERE_DECRYPTING session, NULL
#define WHERE_MECHANISM session, mechanism
#define GENERIC(kind, name, parameters, arguments)          \
    static CK_RV generic_##name parameters                  \
    {                                                       \
        CK_RV rv = enter(#name, kind, WHERE_##kind);        \
        return rv != CKR_OK ? rv : real->name arguments;    \
    }
PKCS11_FUNCTIONS(GENERIC)

/* ---- the functions that do more than fail ---- */

/* Gives out a list, but for some, as PKCS#11 does: the count alone, or all of it. */
static CK_RV give(CK_ULONG *found, CK_ULONG found_count, bool (*but)(CK_ULONG), CK_ULONG *out, CK_ULONG *count)
{
    CK_ULONG room = *count, kept = 0;
    for (CK_ULONG i = 0; i < found_count; i++)
        if (but == NULL || !but(found[i]))
            found[kept++] = found[i];
    *count = kept;
    if (out != NULL && room < kept)
        return CKR_BUFFER_TOO_SMALL;
    if (out != NULL)
        memcpy(out, found, kept * sizeof *found);
    return CKR_OK;
}

static CK_RV faulty_C_GetSlotList(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count)
{
    CK_SLOT_ID found[LISTED];
    CK_ULONG found_count = LISTED;
    CK_RV rv = generic_C_GetSlotList(present, found, &found_count);
    return rv != CKR_OK ? rv : give(found, found_count, present ? is_out : NULL, slots, count);
}

static CK_RV faulty_C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
    CK_MECHANISM_TYPE found[LISTED];
    CK_ULONG found_count = LISTED;
    CK_RV rv = generic_C_GetMechanismList(slot, found, &found_count);
    return rv != CKR_OK ? rv : give(found, found_count, is_hidden, list, count);
}

static CK_RV faulty_C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    CK_RV rv = generic_C_GetMechanismInfo(slot, type, info);
    return rv == CKR_OK && is_hidden(type) ? CKR_MECHANISM_INVALID : rv;
}

static CK_RV faulty_C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    CK_RV rv = generic_C_GetSlotInfo(slot, info);
    if (rv == CKR_OK && is_out(slot))
        info->flags &= ~CKF_TOKEN_PRESENT;
    return rv;
}

static CK_RV faulty_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    CK_RV rv = generic_C_GetTokenInfo(slot, info);
    if (rv != CKR_OK)
        return rv;
    if (number("protected_path", 0) == 1)
        info->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
    struct tries tries = tries_open();
    if (tries.fd >= 0) {
        info->flags &= ~(CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED);
        info->flags |= tries.left < tries.max ? CKF_USER_PIN_COUNT_LOW : 0;
        info->flags |= tries.left == 1 ? CKF_USER_PIN_FINAL_TRY : 0;
        info->flags |= tries.left == 0 ? CKF_USER_PIN_LOCKED : 0;
    }
    tries_close(&tries, CKR_GENERAL_ERROR);
    return CKR_OK;
}

/* After the SO set the user PIN; a wrong PIN would be the SO's. */
static CK_RV unblocked(CK_RV rv)
{
    struct tries tries = tries_open();
    tries_close(&tries, rv == CKR_OK ? CKR_OK : CKR_GENERAL_ERROR);
    return rv;
}

static CK_RV faulty_C_InitToken(CK_SLOT_ID slot, P11_IN(pin), CK_UTF8CHAR *label)
{
    return unblocked(generic_C_InitToken(slot, pin, pin_length, label));
}

static CK_RV faulty_C_InitPIN(CK_SESSION_HANDLE session, P11_IN(pin))
{
    return unblocked(generic_C_InitPIN(session, pin, pin_length));
}

static CK_RV faulty_C_SetPIN(CK_SESSION_HANDLE session, P11_IN(old), P11_IN(pin))
{
    CK_SESSION_INFO info = {0};
    CK_RV rv = enter("C_SetPIN", SESSION, session, NULL);
    if (rv != CKR_OK)
        return rv;
    if (real->C_GetSessionInfo(session, &info) == CKR_OK && info.state == CKS_RW_SO_FUNCTIONS)
        return real->C_SetPIN(session, old, old_length, pin, pin_length);
    struct tries tries = tries_open();
    rv = tries.fd >= 0 && tries.left == 0 ? CKR_PIN_LOCKED : real->C_SetPIN(session, old, old_length, pin, pin_length);
    tries_close(&tries, rv);
    return rv;
}

/* A context-specific login, of which the real module must know nothing. */
static CK_RV context_login(CK_SESSION_HANDLE session, P11_IN(pin))
{
    char right[TEXT];
    if (!setting("context_pin", 0, right))
        strcpy(right, user_pin);
    if (pin == NULL || pin_length != strlen(right) || memcmp(pin, right, pin_length) != 0)
        return CKR_PIN_INCORRECT;
    replace_wanting(session, 0);
    return CKR_OK;
}

static CK_RV faulty_C_Login(CK_SESSION_HANDLE session, CK_USER_TYPE user, P11_IN(pin))
{
    char entered[TEXT];
    CK_RV rv = enter("C_Login", SESSION, session, NULL);
    if (rv != CKR_OK)
        return rv;
    if (pin == NULL && number("protected_path", 0) == 1) {
        wait_ms((unsigned long)number("pinpad_delay_ms", 0));
        if (!setting("pinpad_pin", 0, entered))
            return CKR_FUNCTION_CANCELED;
        pin = (CK_BYTE *)entered;
        pin_length = strlen(entered);
    }
    if (user == CKU_SO)
        return real->C_Login(session, user, pin, pin_length);
    struct tries tries = tries_open();
    if (tries.fd >= 0 && tries.left == 0)
        rv = CKR_PIN_LOCKED;
    else if (user == CKU_CONTEXT_SPECIFIC && wants_login(session))
        rv = context_login(session, pin, pin_length);
    else
        rv = real->C_Login(session, user, pin, pin_length);
    tries_close(&tries, rv);
    if (rv == CKR_OK && user == CKU_USER)
        snprintf(user_pin, sizeof user_pin, "%.*s", (int)pin_length, (const char *)pin);
    return rv;
}

/* Whether the script has this object always authenticate. */
static bool always(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    CK_ULONG class = 0;
    CK_BYTE id[TEXT / 2 - 1];
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof class}, {CKA_ID, id, sizeof id}};
    if (real->C_GetAttributeValue(session, object, wanted, 2) != CKR_OK || class != CKO_PRIVATE_KEY)
        return false;
    char value[TEXT], hex[TEXT] = "";
    for (CK_ULONG i = 0; i < wanted[1].ulValueLen; i++)
        sprintf(hex + 2 * i, "%02x", id[i]);
    for (size_t i = 0; setting("always_authenticate", i, value); i++)
        if (strcmp(value, "all") == 0 || strcasecmp(value, hex) == 0)
            return true;
    return false;
}

static CK_RV faulty_C_GetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, P11_ATTRIBUTES(t))
{
    CK_RV rv = enter("C_GetAttributeValue", SESSION, session, NULL);
    for (CK_ULONG i = 0; rv == CKR_OK && i < t_count; i++)
        if (listed("attribute_fails", t[i].type))
            rv = CKR_ATTRIBUTE_TYPE_INVALID;
    if (rv != CKR_OK)
        return rv;
    rv = real->C_GetAttributeValue(session, object, t, t_count);
    for (CK_ULONG i = 0; i < t_count; i++)
        if (t[i].type == CKA_ALWAYS_AUTHENTICATE && t[i].pValue != NULL && t[i].ulValueLen == sizeof(CK_BBOOL)
            && always(session, object))
            *(CK_BBOOL *)t[i].pValue = CK_TRUE;
    return rv;
}

static CK_RV wanting_login(CK_RV rv, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
    if (rv == CKR_OK) {
        replace_wanting(session, 0);
        if (always(session, key) && !replace_wanting(0, session))
            die("too many sessions want", "a context-specific login");
    }
    return rv;
}

static CK_RV faulty_C_SignInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    return wanting_login(generic_C_SignInit(session, mechanism, key), session, key);
}

static CK_RV faulty_C_DecryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    return wanting_login(generic_C_DecryptInit(session, mechanism, key), session, key);
}

/* ---- the way in ---- */

static CK_RV load_real(void)
{
    static const char *const usual[] = {
        "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so", "libsofthsm2.so", NULL};
    const char *path = getenv("FAULTY_MODULE");
    void *module = path == NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; path == NULL && module == NULL && usual[i] != NULL; i++)
        module = dlopen(usual[i], RTLD_NOW | RTLD_LOCAL);
    CK_RV (*get)(CK_FUNCTION_LIST **) = NULL;
    if (module != NULL)
        *(void **)&get = dlsym(module, "C_GetFunctionList");
    if (get == NULL) {
        fprintf(stderr, "faulty.c: no PKCS#11 module: %s\n", path == NULL ? "SoftHSM" : path);
        return CKR_GENERAL_ERROR;
    }
    return get((CK_FUNCTION_LIST **)&real);
}

__attribute__((constructor)) static void load(void)
{
    struct effect effect = apply_script("load", ALL_SLOTS);
    wait_ms(effect.delay_ms);
    if (effect.crash)
        raise(SIGSEGV);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **functions)
{
    CK_RV rv = enter("C_GetFunctionList", NONE, 0, NULL);
    if (rv == CKR_OK && real == NULL)
        rv = load_real();
    if (rv != CKR_OK)
        return rv;
#define POINTER(kind, name, parameters, arguments) .name = generic_##name,
    static CK_FUNCTION_LIST list = {.version = {2, 40}, PKCS11_FUNCTIONS(POINTER)};
    list.C_GetFunctionList = C_GetFunctionList;
    list.C_GetSlotList = faulty_C_GetSlotList;
    list.C_GetSlotInfo = faulty_C_GetSlotInfo;
    list.C_GetTokenInfo = faulty_C_GetTokenInfo;
    list.C_GetMechanismList = faulty_C_GetMechanismList;
    list.C_GetMechanismInfo = faulty_C_GetMechanismInfo;
    list.C_InitToken = faulty_C_InitToken;
    list.C_InitPIN = faulty_C_InitPIN;
    list.C_SetPIN = faulty_C_SetPIN;
    list.C_Login = faulty_C_Login;
    list.C_GetAttributeValue = faulty_C_GetAttributeValue;
    list.C_SignInit = faulty_C_SignInit;
    list.C_DecryptInit = faulty_C_DecryptInit;
    *functions = &list;
    return CKR_OK;
}
