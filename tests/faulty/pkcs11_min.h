/* The part of PKCS#11 v2.40 (OASIS, "Base Specification", 2015) that faulty.c needs: Unix layout, nothing packed.
 * Types that are only ever passed on, never looked into, are left incomplete. */

#ifndef PKCS11_MIN_H
#define PKCS11_MIN_H

typedef unsigned char CK_BYTE, CK_BBOOL, CK_CHAR, CK_UTF8CHAR;
typedef unsigned long CK_ULONG, CK_RV, CK_FLAGS, CK_SLOT_ID, CK_SESSION_HANDLE, CK_OBJECT_HANDLE;
typedef unsigned long CK_USER_TYPE, CK_STATE, CK_MECHANISM_TYPE, CK_ATTRIBUTE_TYPE;
typedef struct CK_INFO CK_INFO;
typedef struct CK_MECHANISM_INFO CK_MECHANISM_INFO;
typedef struct CK_FUNCTION_LIST CK_FUNCTION_LIST;
typedef CK_RV (*CK_NOTIFY)(CK_SESSION_HANDLE session, CK_ULONG event, void *application);

typedef struct { CK_BYTE major, minor; } CK_VERSION;

typedef struct {
    CK_UTF8CHAR slotDescription[64], manufacturerID[32];
    CK_FLAGS flags;
    CK_VERSION hardwareVersion, firmwareVersion;
} CK_SLOT_INFO;

typedef struct {
    CK_UTF8CHAR label[32], manufacturerID[32], model[16];
    CK_CHAR serialNumber[16];
    CK_FLAGS flags;
    CK_ULONG ulMaxSessionCount, ulSessionCount, ulMaxRwSessionCount, ulRwSessionCount, ulMaxPinLen, ulMinPinLen;
    CK_ULONG ulTotalPublicMemory, ulFreePublicMemory, ulTotalPrivateMemory, ulFreePrivateMemory;
    CK_VERSION hardwareVersion, firmwareVersion;
    CK_CHAR utcTime[16];
} CK_TOKEN_INFO;

typedef struct { CK_SLOT_ID slotID; CK_STATE state; CK_FLAGS flags; CK_ULONG ulDeviceError; } CK_SESSION_INFO;
typedef struct { CK_ATTRIBUTE_TYPE type; void *pValue; CK_ULONG ulValueLen; } CK_ATTRIBUTE;
typedef struct { CK_MECHANISM_TYPE mechanism; void *pParameter; CK_ULONG ulParameterLen; } CK_MECHANISM;

#define CK_TRUE ((CK_BBOOL)1)
#define CK_UNAVAILABLE_INFORMATION (~0UL)

#define CKF_TOKEN_PRESENT 0x1UL                       /* CK_SLOT_INFO */
#define CKF_PROTECTED_AUTHENTICATION_PATH 0x100UL     /* CK_TOKEN_INFO, this and the next three */
#define CKF_USER_PIN_COUNT_LOW 0x10000UL
#define CKF_USER_PIN_FINAL_TRY 0x20000UL
#define CKF_USER_PIN_LOCKED 0x40000UL
#define CKU_SO 0UL
#define CKU_USER 1UL
#define CKU_CONTEXT_SPECIFIC 2UL
#define CKS_RW_SO_FUNCTIONS 4UL
#define CKO_PRIVATE_KEY 3UL
#define CKA_CLASS 0x0UL
#define CKA_ID 0x102UL
#define CKA_ALWAYS_AUTHENTICATE 0x202UL

#define CKR_OK 0x0UL
#define CKR_GENERAL_ERROR 0x5UL
#define CKR_ARGUMENTS_BAD 0x7UL
#define CKR_ATTRIBUTE_TYPE_INVALID 0x12UL
#define CKR_DEVICE_REMOVED 0x32UL
#define CKR_FUNCTION_CANCELED 0x50UL
#define CKR_MECHANISM_INVALID 0x70UL
#define CKR_PIN_INCORRECT 0xA0UL
#define CKR_PIN_LOCKED 0xA4UL
#define CKR_SESSION_HANDLE_INVALID 0xB3UL
#define CKR_TOKEN_NOT_PRESENT 0xE0UL
#define CKR_USER_NOT_LOGGED_IN 0x101UL
#define CKR_BUFFER_TOO_SMALL 0x150UL

/* Every function, in the order of the function list: X(kind, name, (parameters), (arguments)). The kind says what the
 * first parameters are: NONE in particular, a TOKEN (`slot`), a SESSION (`session`; or one that is SIGNING or
 * DECRYPTING), or a session and a MECHANISM. */
#define P11_S CK_SESSION_HANDLE session
#define P11_M CK_SESSION_HANDLE session, CK_MECHANISM *mechanism
#define P11_IN(x) CK_BYTE *x, CK_ULONG x##_length
#define P11_OUT(x) CK_BYTE *x, CK_ULONG *x##_length
#define P11_ATTRIBUTES(x) CK_ATTRIBUTE *x, CK_ULONG x##_count
#define P11_IN_OUT (P11_S, P11_IN(in), P11_OUT(out)), (session, in, in_length, out, out_length)
#define P11_IN_ONLY (P11_S, P11_IN(in)), (session, in, in_length)
#define P11_IN_IN (P11_S, P11_IN(in), P11_IN(signature)), (session, in, in_length, signature, signature_length)
#define P11_OUT_ONLY (P11_S, P11_OUT(out)), (session, out, out_length)
#define P11_INIT (P11_M, CK_OBJECT_HANDLE key), (session, mechanism, key)
#define P11_TEMPLATE (P11_S, CK_OBJECT_HANDLE object, P11_ATTRIBUTES(t)), (session, object, t, t_count)

#define PKCS11_FUNCTIONS(X) P11_FUNCTIONS_1(X) P11_FUNCTIONS_2(X)
/* A second expansion, so that P11_INIT and its like are two arguments and not one. */
#define P11_X(X, ...) X(__VA_ARGS__)

#define P11_FUNCTIONS_1(X) \
    X(NONE, C_Initialize, (void *arguments), (arguments)) \
    X(NONE, C_Finalize, (void *reserved), (reserved)) \
    X(NONE, C_GetInfo, (CK_INFO *info), (info)) \
    X(NONE, C_GetFunctionList, (CK_FUNCTION_LIST **functions), (functions)) \
    X(NONE, C_GetSlotList, (CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count), (present, slots, count)) \
    X(NONE, C_GetSlotInfo, (CK_SLOT_ID slot, CK_SLOT_INFO *info), (slot, info)) \
    X(TOKEN, C_GetTokenInfo, (CK_SLOT_ID slot, CK_TOKEN_INFO *info), (slot, info)) \
    X(TOKEN, C_GetMechanismList, (CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count), (slot, list, count)) \
    X(TOKEN, C_GetMechanismInfo, (CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info), \
      (slot, type, info)) \
    X(TOKEN, C_InitToken, (CK_SLOT_ID slot, P11_IN(pin), CK_UTF8CHAR *label), (slot, pin, pin_length, label)) \
    X(SESSION, C_InitPIN, (P11_S, P11_IN(pin)), (session, pin, pin_length)) \
    X(SESSION, C_SetPIN, (P11_S, P11_IN(old), P11_IN(pin)), (session, old, old_length, pin, pin_length)) \
    X(TOKEN, C_OpenSession, (CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify, \
                             CK_SESSION_HANDLE *session), (slot, flags, application, notify, session)) \
    X(SESSION, C_CloseSession, (P11_S), (session)) \
    X(TOKEN, C_CloseAllSessions, (CK_SLOT_ID slot), (slot)) \
    X(SESSION, C_GetSessionInfo, (P11_S, CK_SESSION_INFO *info), (session, info)) \
    P11_X(X, SESSION, C_GetOperationState, P11_OUT_ONLY) \
    X(SESSION, C_SetOperationState, (P11_S, P11_IN(in), CK_OBJECT_HANDLE encryption, CK_OBJECT_HANDLE authentication), \
      (session, in, in_length, encryption, authentication)) \
    X(SESSION, C_Login, (P11_S, CK_USER_TYPE user, P11_IN(pin)), (session, user, pin, pin_length)) \
    X(SESSION, C_Logout, (P11_S), (session)) \
    X(SESSION, C_CreateObject, (P11_S, P11_ATTRIBUTES(t), CK_OBJECT_HANDLE *object), (session, t, t_count, object)) \
    X(SESSION, C_CopyObject, (P11_S, CK_OBJECT_HANDLE object, P11_ATTRIBUTES(t), CK_OBJECT_HANDLE *copy), \
      (session, object, t, t_count, copy)) \
    X(SESSION, C_DestroyObject, (P11_S, CK_OBJECT_HANDLE object), (session, object)) \
    X(SESSION, C_GetObjectSize, (P11_S, CK_OBJECT_HANDLE object, CK_ULONG *size), (session, object, size)) \
    P11_X(X, SESSION, C_GetAttributeValue, P11_TEMPLATE) \
    P11_X(X, SESSION, C_SetAttributeValue, P11_TEMPLATE) \
    X(SESSION, C_FindObjectsInit, (P11_S, P11_ATTRIBUTES(t)), (session, t, t_count)) \
    X(SESSION, C_FindObjects, (P11_S, CK_OBJECT_HANDLE *objects, CK_ULONG most, CK_ULONG *count), \
      (session, objects, most, count)) \
    X(SESSION, C_FindObjectsFinal, (P11_S), (session)) \
    P11_X(X, MECHANISM, C_EncryptInit, P11_INIT) \
    P11_X(X, SESSION, C_Encrypt, P11_IN_OUT) \
    P11_X(X, SESSION, C_EncryptUpdate, P11_IN_OUT) \
    P11_X(X, SESSION, C_EncryptFinal, P11_OUT_ONLY) \
    P11_X(X, MECHANISM, C_DecryptInit, P11_INIT) \
    P11_X(X, DECRYPTING, C_Decrypt, P11_IN_OUT) \
    P11_X(X, DECRYPTING, C_DecryptUpdate, P11_IN_OUT) \
    P11_X(X, DECRYPTING, C_DecryptFinal, P11_OUT_ONLY)

#define P11_FUNCTIONS_2(X) \
    X(MECHANISM, C_DigestInit, (P11_M), (session, mechanism)) \
    P11_X(X, SESSION, C_Digest, P11_IN_OUT) \
    P11_X(X, SESSION, C_DigestUpdate, P11_IN_ONLY) \
    X(SESSION, C_DigestKey, (P11_S, CK_OBJECT_HANDLE key), (session, key)) \
    P11_X(X, SESSION, C_DigestFinal, P11_OUT_ONLY) \
    P11_X(X, MECHANISM, C_SignInit, P11_INIT) \
    P11_X(X, SIGNING, C_Sign, P11_IN_OUT) \
    P11_X(X, SIGNING, C_SignUpdate, P11_IN_ONLY) \
    P11_X(X, SIGNING, C_SignFinal, P11_OUT_ONLY) \
    P11_X(X, MECHANISM, C_SignRecoverInit, P11_INIT) \
    P11_X(X, SESSION, C_SignRecover, P11_IN_OUT) \
    P11_X(X, MECHANISM, C_VerifyInit, P11_INIT) \
    P11_X(X, SESSION, C_Verify, P11_IN_IN) \
    P11_X(X, SESSION, C_VerifyUpdate, P11_IN_ONLY) \
    P11_X(X, SESSION, C_VerifyFinal, P11_IN_ONLY) \
    P11_X(X, MECHANISM, C_VerifyRecoverInit, P11_INIT) \
    P11_X(X, SESSION, C_VerifyRecover, P11_IN_OUT) \
    P11_X(X, SESSION, C_DigestEncryptUpdate, P11_IN_OUT) \
    P11_X(X, SESSION, C_DecryptDigestUpdate, P11_IN_OUT) \
    P11_X(X, SESSION, C_SignEncryptUpdate, P11_IN_OUT) \
    P11_X(X, SESSION, C_DecryptVerifyUpdate, P11_IN_OUT) \
    X(MECHANISM, C_GenerateKey, (P11_M, P11_ATTRIBUTES(t), CK_OBJECT_HANDLE *key), \
      (session, mechanism, t, t_count, key)) \
    X(MECHANISM, C_GenerateKeyPair, (P11_M, P11_ATTRIBUTES(public), P11_ATTRIBUTES(private), \
                                     CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key), \
      (session, mechanism, public, public_count, private, private_count, public_key, private_key)) \
    X(MECHANISM, C_WrapKey, (P11_M, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key, P11_OUT(out)), \
      (session, mechanism, wrapping, key, out, out_length)) \
    X(MECHANISM, C_UnwrapKey, (P11_M, CK_OBJECT_HANDLE unwrapping, P11_IN(in), P11_ATTRIBUTES(t), \
                               CK_OBJECT_HANDLE *key), \
      (session, mechanism, unwrapping, in, in_length, t, t_count, key)) \
    X(MECHANISM, C_DeriveKey, (P11_M, CK_OBJECT_HANDLE base, P11_ATTRIBUTES(t), CK_OBJECT_HANDLE *key), \
      (session, mechanism, base, t, t_count, key)) \
    P11_X(X, SESSION, C_SeedRandom, P11_IN_ONLY) \
    P11_X(X, SESSION, C_GenerateRandom, P11_IN_ONLY) \
    X(SESSION, C_GetFunctionStatus, (P11_S), (session)) \
    X(SESSION, C_CancelFunction, (P11_S), (session)) \
    X(NONE, C_WaitForSlotEvent, (CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved), (flags, slot, reserved))

#define P11_MEMBER(kind, name, parameters, arguments) CK_RV (*name) parameters;
struct CK_FUNCTION_LIST {
    CK_VERSION version;
    PKCS11_FUNCTIONS(P11_MEMBER)
};

#endif
