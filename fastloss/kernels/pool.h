/* A small pool of threads: runs one piece of work on several threads and waits for all of them.
 *
 * Why not OpenMP: a child forked after its parent ran a region hangs in libgomp, and its thread count depends on who else in the
 * process brought a copy of it. Here a child starts with no threads and makes its own; a second caller (another Python thread, or
 * work called from within work) finds the pool taken and simply works alone.
 *
 * Threads wait by spinning for some tens of microseconds, the time in which the next call of a loop usually comes, and then sleep.
 */
#ifndef FASTLOSS_POOL_H
#define FASTLOSS_POOL_H

#include <stddef.h>
#include <time.h>

typedef void (*fl_work)(void *job, int worker);

/* The next `step` items of a counter that workers share. */
static inline ptrdiff_t fl_take(ptrdiff_t *next, ptrdiff_t step) { return __atomic_fetch_add(next, step, __ATOMIC_RELAXED); }

/* For differences: a clock that nobody sets, where there is one. */
static inline double fl_seconds(void) {
    struct timespec now;
#ifdef CLOCK_MONOTONIC
    clock_gettime(CLOCK_MONOTONIC, &now);
#else
    timespec_get(&now, TIME_UTC);
#endif
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#define FL_MAX_WORKERS 256

#if defined(_WIN32) /* no pthreads: the caller does all the work, which is why work must not count on company */
static void fl_pool_run(fl_work work, void *job, int workers) { (void)workers; work(job, 0); }
static inline int fl_pool_forks(void) { return 0; }
#else
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    atomic_flag taken;            /* one caller at a time */
    atomic_ulong call;            /* counts calls; a thread that sees a new number looks whether it is wanted */
    atomic_int running;           /* threads at work for this call, besides the caller */
    int threads, wanted, open, watching, forks;
    fl_work work;
    void *job;
} fl_pool = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, ATOMIC_FLAG_INIT, 0, 0, 0, 0, 0, 0, 0, 0, 0};

/* How many forks lie between the first threads and here. If it changed within a call (a signal handler of Python may fork), then
 * those that took a part of the work are gone. */
static inline int fl_pool_forks(void) { return fl_pool.forks; }

static inline void fl_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#define FL_SPINS 2000 /* about 30 to 60 us */

static void *fl_pool_thread(void *number) {
    int worker = (int)(long)number;
    unsigned long seen = atomic_load(&fl_pool.call) - 1; /* a thread is born into a call that wants it */
    for (;;) {
        for (int spin = 0; spin < FL_SPINS && atomic_load(&fl_pool.call) == seen; spin++) fl_pause();
        pthread_mutex_lock(&fl_pool.lock);
        while (atomic_load(&fl_pool.call) == seen) pthread_cond_wait(&fl_pool.wake, &fl_pool.lock);
        seen = atomic_load(&fl_pool.call);
        int wanted = fl_pool.open && worker < fl_pool.wanted; /* who comes when the caller has done all is not waited for */
        if (wanted) atomic_fetch_add(&fl_pool.running, 1);
        fl_work work = fl_pool.work;
        void *job = fl_pool.job;
        pthread_mutex_unlock(&fl_pool.lock);
        if (!wanted) continue;
        work(job, worker);
        if (atomic_fetch_sub(&fl_pool.running, 1) == 1) {
            pthread_mutex_lock(&fl_pool.lock);
            pthread_cond_signal(&fl_pool.done);
            pthread_mutex_unlock(&fl_pool.lock);
        }
    }
    return 0;
}

/* The child of a fork has only the thread that forked: whatever the pool was doing, it starts anew there. */
static void fl_pool_after_fork(void) {
    pthread_mutex_init(&fl_pool.lock, 0);
    pthread_cond_init(&fl_pool.wake, 0);
    pthread_cond_init(&fl_pool.done, 0);
    atomic_flag_clear(&fl_pool.taken);
    atomic_store(&fl_pool.running, 0);
    fl_pool.threads = fl_pool.wanted = fl_pool.open = 0;
    fl_pool.forks++;
}

static void fl_pool_grow(int threads) {
    sigset_t all, old;
    pthread_attr_t detached;
    pthread_t thread;
    if (fl_pool.watching == 0) fl_pool.watching = pthread_atfork(0, 0, fl_pool_after_fork) == 0;
    sigfillset(&all); /* signals are for Python's threads */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    while (fl_pool.threads < threads && pthread_create(&thread, &detached, fl_pool_thread, (void *)(long)(fl_pool.threads + 1)) == 0)
        fl_pool.threads++;
    pthread_attr_destroy(&detached);
    pthread_sigmask(SIG_SETMASK, &old, 0);
}

/* Call work(job, 0) here and work(job, i), 0 < i < workers, on such pool threads as come in time; the work must share itself
 * out. Returns when all that came are done. */
static void fl_pool_run(fl_work work, void *job, int workers) {
    if (workers > FL_MAX_WORKERS) workers = FL_MAX_WORKERS;
    if (workers < 2 || atomic_flag_test_and_set(&fl_pool.taken)) {
        work(job, 0);
        return;
    }
    pthread_mutex_lock(&fl_pool.lock);
    fl_pool.work = work;
    fl_pool.job = job;
    atomic_fetch_add(&fl_pool.call, 1);
    fl_pool_grow(workers - 1); /* new threads wait for the lock, and find this call */
    fl_pool.wanted = workers;
    fl_pool.open = 1;
    pthread_cond_broadcast(&fl_pool.wake);
    pthread_mutex_unlock(&fl_pool.lock);
    work(job, 0);
    pthread_mutex_lock(&fl_pool.lock);
    fl_pool.open = 0;
    pthread_mutex_unlock(&fl_pool.lock);
    for (int spin = 0; spin < FL_SPINS && atomic_load(&fl_pool.running) > 0; spin++) fl_pause();
    pthread_mutex_lock(&fl_pool.lock);
    while (atomic_load(&fl_pool.running) > 0) pthread_cond_wait(&fl_pool.done, &fl_pool.lock);
    pthread_mutex_unlock(&fl_pool.lock);
    atomic_flag_clear(&fl_pool.taken);
}
#endif
#endif
