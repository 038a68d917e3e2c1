/* What faulty.c is told and what it remembers: the script (its language is at the top of faulty.c), the count of calls
 * of each line, and the PIN counter in SCRIPT.state. */

#ifndef SCRIPT_H
#define SCRIPT_H

#include "pkcs11_min.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 512, RULES = 64 };
#define ALL_SLOTS CK_UNAVAILABLE_INFORMATION

struct rule {
    char key[32], value[TEXT];
    unsigned long calls;
    bool pulled; /* remove_at: the token of `slot` is out */
    CK_SLOT_ID slot;
};

/* What the lines about a function do to one call of it. */
struct effect {
    CK_RV rv;
    unsigned long delay_ms;
    bool crash, pulled;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that is static; never held in a call that may wait */
static struct rule rules[RULES];
static size_t rule_count;

static _Noreturn void die(const char *what, const char *which)
{
    fprintf(stderr, "faulty.c: %s: %s\n", what, which);
    abort();
}

static bool is_among(const char *text, size_t length, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strlen(*list) == length && strncmp(*list, text, length) == 0)
            return true;
    return false;
}

static bool takes_function(const struct rule *rule)
{
    static const char *const keys[] = {"fail", "slow", "hang", "crash", "remove_at", NULL};
    return is_among(rule->key, strlen(rule->key), keys);
}

/* A slip in a test's script must not look like a module without faults. */
static void check_rule(const struct rule *rule)
{
#define NAME(kind, name, parameters, arguments) #name,
    static const char *const functions[] = {PKCS11_FUNCTIONS(NAME) "load", NULL};
    static const char *const keys[] = {
        "log", "removed", "tries", "tries_max", "always_authenticate", "context_pin", "stuck_operations",
        "protected_path", "pinpad_delay_ms", "pinpad_pin", "no_mechanism", "attribute_fails", NULL};
    if (takes_function(rule) && !is_among(rule->value, strcspn(rule->value, ":"), functions))
        die("no such function", rule->value);
    if (!takes_function(rule) && !is_among(rule->key, strlen(rule->key), keys))
        die("no such key", rule->key);
}

/* Reads the script into `rules`; a line that was there before keeps its count. */
static void read_script(void)
{
    static struct rule old[RULES];
    size_t old_count = rule_count;
    memcpy(old, rules, sizeof rules);
    rule_count = 0;
    const char *path = getenv("FAULTY_SCRIPT");
    FILE *script = path == NULL ? NULL : fopen(path, "re");
    if (script == NULL)
        return;
    char line[TEXT];
    while (fgets(line, sizeof line, script) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#')
            continue;
        struct rule rule = {0};
        if (sscanf(line, "%31[a-z_] = %511[^\n]", rule.key, rule.value) != 2 || rule_count == RULES)
            die("cannot read the line", line);
        check_rule(&rule);
        for (size_t i = 0; i < old_count; i++)
            if (strcmp(old[i].key, rule.key) == 0 && strcmp(old[i].value, rule.value) == 0)
                rule = old[i];
        rules[rule_count++] = rule;
    }
    fclose(script);
    for (size_t i = 0; i < rule_count; i++)
        if (strcmp(rules[i].key, "removed") == 0 && rules[i].value[0] == '0')
            for (size_t j = 0; j < rule_count; j++)
                rules[j].pulled = false;
}

/* Copies the value of the `nth` line with this key (from 0), or returns false. */
static bool setting(const char *key, size_t nth, char value[TEXT])
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < rule_count && !found; i++)
        if (strcmp(rules[i].key, key) == 0 && nth-- == 0) {
            strcpy(value, rules[i].value);
            found = true;
        }
    pthread_mutex_unlock(&lock);
    return found;
}

static long number(const char *key, long otherwise)
{
    char value[TEXT];
    return setting(key, 0, value) ? strtol(value, NULL, 0) : otherwise;
}

static bool listed(const char *key, CK_ULONG wanted)
{
    char value[TEXT];
    for (size_t i = 0; setting(key, i, value); i++)
        if (strtoul(value, NULL, 0) == wanted)
            return true;
    return false;
}

/* Reads the script, and applies the lines about this function, called on this slot. */
static struct effect apply_script(const char *name, CK_SLOT_ID slot)
{
    struct effect effect = {.rv = CKR_OK};
    pthread_mutex_lock(&lock);
    read_script();
    for (struct rule *rule = rules; rule < rules + rule_count; rule++) {
        size_t length = strcspn(rule->value, ":");
        if (!takes_function(rule) || length != strlen(name) || strncmp(rule->value, name, length) != 0)
            continue;
        unsigned long value[3] = {0, 1, ~0UL}; /* RV or MS, N, M */
        char *rest = rule->value + length;
        for (size_t i = strcmp(rule->key, "remove_at") == 0 ? 1 : 0; i < 3 && *rest == ':'; i++)
            value[i] = strtoul(rest + 1, &rest, 0);
        rule->calls++;
        if (strcmp(rule->key, "crash") == 0)
            effect.crash = true;
        else if (strcmp(rule->key, "hang") == 0)
            effect.delay_ms += 3600000;
        else if (strcmp(rule->key, "slow") == 0)
            effect.delay_ms += value[0];
        else if (strcmp(rule->key, "fail") == 0 && rule->calls >= value[1] && rule->calls - value[1] < value[2])
            effect.rv = value[0];
        else if (strcmp(rule->key, "remove_at") == 0 && rule->calls == value[1]) {
            effect.rv = CKR_DEVICE_REMOVED;
            effect.pulled = rule->pulled = true;
            rule->slot = slot;
        }
    }
    pthread_mutex_unlock(&lock);
    return effect;
}

static void wait_ms(unsigned long ms)
{
    struct timespec left = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0)
        ;
}

/* Whether the token of this slot is pulled out. */
static bool is_out(CK_SLOT_ID slot)
{
    bool out = number("removed", 0) == 1;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < rule_count; i++)
        out = out || (rules[i].pulled && (rules[i].slot == slot || rules[i].slot == ALL_SLOTS));
    pthread_mutex_unlock(&lock);
    return out;
}

/* The PIN counter, locked from tries_open() to tries_close(); fd < 0: the script does not ask for one. */
struct tries { int fd; long left, start, max; };

static struct tries tries_open(void)
{
    struct tries tries = {-1, 0, number("tries", -1), number("tries_max", 3)};
    char path[TEXT + 8], text[64] = "";
    if (tries.start < 0)
        return tries;
    snprintf(path, sizeof path, "%s.state", getenv("FAULTY_SCRIPT"));
    tries.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    long started = -1;
    if (tries.fd < 0 || flock(tries.fd, LOCK_EX) != 0 || pread(tries.fd, text, sizeof text - 1, 0) < 0)
        die("cannot lock and read", path);
    if (sscanf(text, "%ld %ld", &tries.left, &started) != 2 || started != tries.start)
        tries.left = tries.start;
    return tries;
}

/* Counts the try that gave `rv`; any other error than a wrong PIN changes nothing. */
static void tries_close(struct tries *tries, CK_RV rv)
{
    if (tries->fd < 0)
        return;
    if (rv == CKR_OK)
        tries->left = tries->max;
    else if (rv == CKR_PIN_INCORRECT && tries->left > 0)
        tries->left--;
    char text[64];
    int length = snprintf(text, sizeof text, "%ld %ld\n", tries->left, tries->start);
    if (pwrite(tries->fd, text, (size_t)length, 0) != length || ftruncate(tries->fd, length) != 0)
        die("cannot write", "the PIN counter");
    close(tries->fd);
}

#endif
