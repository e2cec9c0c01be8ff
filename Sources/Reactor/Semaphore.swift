internal import Glibc

/// Lets one thread wait for another: POSIX's unnamed semaphore.
@safe package final class Semaphore: @unchecked Sendable {
    private let semaphore: UnsafeMutablePointer<sem_t>

    package init() {
        unsafe semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        unsafe sem_init(semaphore, 0, 0)
    }

    deinit {
        unsafe sem_destroy(semaphore)
        unsafe semaphore.deallocate()
    }

    package func signal() { unsafe sem_post(semaphore) }

    /// Waits for a `signal`; blocks the thread, so never on a loop.
    package func wait() {
        while unsafe sem_wait(semaphore) != 0 {}
    }
}
