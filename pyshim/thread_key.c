/* thread_key.c: what a thread has of its own.
 *
 * Not thread-local in C's sense: of that a library that starts Go again in a
 * child of a child of a child... has too little. */
#include "shim.h"

int
thread_key_make(ThreadKey *key, void (*end)(void *))
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock); /* interpreters may have a GIL each */
    if (!key->made) {
        key->made = pthread_key_create(&key->key, end) == 0;
    }
    bool made = key->made;
    pthread_mutex_unlock(&lock);
    if (!made) {
        PyErr_SetString(PyExc_ImportError,
                        "pybuf cannot be imported: the C library has no key "
                        "for thread-specific data left");
        return -1;
    }
    return 0;
}
