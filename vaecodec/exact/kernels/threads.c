/* Threads of our own, which sleep while there is nothing to do.
 *
 * One pool serves the process, one job at a time. A call that finds it busy does its work alone: as many calls as there are
 * cores keep the cores busy by themselves. After a fork the child has no threads and starts its own when it needs them. */
#define _POSIX_C_SOURCE 200809L /* sigset_t, pthread_sigmask */

#include <stdlib.h>

#include "kernels.h"

static void alone(int items, void (*work)(void *job, int worker, int item), void *job) {
    for (int item = 0; item < items; item++) {
        work(job, 0, item);
    }
}

#if defined(__wasm__) || defined(VK_NO_THREADS)

void vk_parallel_stages(int threads, int stages, int items, int apart, void (*work)(void *job, int worker, int item), void *job) {
    (void)threads;
    (void)apart;
    alone(stages * items, work, job);
}

#else

#if defined(_WIN32)

#define WIN32_LEAN_AND_MEAN
#include <process.h>
#include <windows.h>

static SRWLOCK lock = SRWLOCK_INIT;
static CONDITION_VARIABLE there_is_work = CONDITION_VARIABLE_INIT, one_is_done = CONDITION_VARIABLE_INIT,
                          all_is_done = CONDITION_VARIABLE_INIT;

static void lock_pool(void) {
    AcquireSRWLockExclusive(&lock);
}

static void unlock_pool(void) {
    ReleaseSRWLockExclusive(&lock);
}

static void wait_for(CONDITION_VARIABLE *condition) {
    SleepConditionVariableSRW(condition, &lock, INFINITE, 0);
}

static void wake_all(CONDITION_VARIABLE *condition) {
    WakeAllConditionVariable(condition);
}

static void worker_loop(void);

static unsigned __stdcall run(void *nothing) {
    (void)nothing;
    worker_loop();
    return 0;
}

static int start_thread(void) {
    const uintptr_t handle = _beginthreadex(NULL, 0, run, NULL, 0, NULL);
    if (handle) {
        CloseHandle((HANDLE)handle);
    }
    return handle != 0;
}

static void prepare_for_fork(void) {
}

#else

#include <pthread.h>
#include <signal.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t there_is_work = PTHREAD_COND_INITIALIZER, one_is_done = PTHREAD_COND_INITIALIZER,
                      all_is_done = PTHREAD_COND_INITIALIZER;

static void lock_pool(void) {
    pthread_mutex_lock(&lock);
}

static void unlock_pool(void) {
    pthread_mutex_unlock(&lock);
}

static void wait_for(pthread_cond_t *condition) {
    pthread_cond_wait(condition, &lock);
}

static void wake_all(pthread_cond_t *condition) {
    pthread_cond_broadcast(condition);
}

static void worker_loop(void);

static void *run(void *nothing) {
    (void)nothing;
    worker_loop();
    return NULL;
}

static int start_thread(void) {
    /* Signals are the caller's: Python handles them in its main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    const int started = pthread_create(&thread, NULL, run, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started) {
        pthread_detach(thread);
    }
    return started;
}

static void forget_threads(void);

static void after_fork_in_child(void) {
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&there_is_work, NULL);
    pthread_cond_init(&one_is_done, NULL);
    pthread_cond_init(&all_is_done, NULL);
    forget_threads();
}

static void watch_forks(void) {
    /* With the lock held over a fork, the child finds the pool's state whole. */
    pthread_atfork(lock_pool, unlock_pool, after_fork_in_child);
}

static void prepare_for_fork(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
}

#endif

enum { MOST_THREADS = 256, NOTHING = -1 };

/* All under the lock. */
static struct {
    int started;                                   /* threads that are there */
    int busy;                                      /* whether a job is on */
    void (*work)(void *job, int worker, int item); /* NULL: nothing to join */
    void *job;
    int stage, stages, items, apart;
    int next, last;                                /* the items of the stage that are left: from next to last - 1 */
    int in_hand[MOST_THREADS];                     /* the item of each worker, or NOTHING */
    int waiting;                                   /* workers whose item needs one that is not done */
    int helpers, wanted;                           /* threads that joined, and how many may */
    int running;                                   /* threads that work for the job, without the caller */
} pool;

#if !defined(_WIN32)
static void forget_threads(void) {
    pool.started = pool.busy = pool.running = pool.waiting = 0;
    pool.work = NULL;
}
#endif

/* Whether what an item needs is done. All of the stages before was taken, so only what others have in hand can be missing. */
static int is_ready(int item, int worker) {
    for (int other = 0; other <= pool.helpers; other++) {
        const int held = pool.in_hand[other], stages = item / pool.items - held / pool.items;
        if (other == worker || held == NOTHING || stages <= 0) {
            continue;
        }
        if (abs(item % pool.items - held % pool.items) <= pool.apart * stages) {
            return 0;
        }
    }
    return 1;
}

/* Takes items until none is left; the lock is held before and after. One half of the workers begins at the first item of a stage, the
 * other at the last: stage after stage a processor then finds what it wrote before in its own cache. Who has an item of the earliest
 * stage never waits. */
static void take_items(int worker) {
    while (pool.next < pool.last) {
        const int item = pool.stage * pool.items + (worker % 2 ? --pool.last : pool.next++);
        void (*work)(void *, int, int) = pool.work;
        void *job = pool.job;
        pool.in_hand[worker] = item;
        if (pool.next == pool.last && pool.stage + 1 < pool.stages) {
            pool.stage++;
            pool.next = 0;
            pool.last = pool.items;
        }
        while (!is_ready(item, worker)) {
            pool.waiting++;
            wait_for(&one_is_done);
            pool.waiting--;
        }
        unlock_pool();
        work(job, worker, item);
        lock_pool();
        pool.in_hand[worker] = NOTHING;
        if (pool.waiting) {
            wake_all(&one_is_done);
        }
    }
}

static void worker_loop(void) {
    lock_pool();
    for (;;) {
        while (!pool.work || pool.helpers >= pool.wanted || pool.next >= pool.last) {
            wait_for(&there_is_work);
        }
        const int worker = ++pool.helpers;
        pool.in_hand[worker] = NOTHING;
        pool.running++;
        take_items(worker);
        if (--pool.running == 0) {
            wake_all(&all_is_done);
        }
    }
}

void vk_parallel_stages(int threads, int stages, int items, int apart, void (*work)(void *job, int worker, int item), void *job) {
    threads = threads > MOST_THREADS ? MOST_THREADS : threads;
    threads = threads > items ? items : threads;
    if (threads < 2) {
        alone(stages * items, work, job);
        return;
    }
    prepare_for_fork();
    lock_pool();
    if (pool.busy) {
        unlock_pool();
        alone(stages * items, work, job);
        return;
    }
    pool.busy = 1;
    while (pool.started < threads - 1 && start_thread()) {
        pool.started++;
    }
    pool.work = work;
    pool.job = job;
    pool.stage = 0;
    pool.stages = stages;
    pool.items = pool.last = items;
    pool.apart = apart;
    pool.next = 0;
    pool.helpers = 0;
    pool.wanted = threads - 1;
    wake_all(&there_is_work);
    take_items(0);
    while (pool.running) {
        wait_for(&all_is_done);
    }
    pool.work = NULL;
    pool.busy = 0;
    unlock_pool();
}

#endif

void vk_parallel(int threads, int items, void (*work)(void *job, int worker, int item), void *job) {
    vk_parallel_stages(threads, 1, items, 0, work, job);
}
