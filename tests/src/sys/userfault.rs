//! Page faults that wait for as long as one likes: userfaultfd(2).

use std::{
    fs::File,
    io::Read,
    os::fd::{AsRawFd, FromRawFd},
    sync::{Arc, Barrier},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    done,
    memory::{Map, page_bytes},
};

/// `linux/userfaultfd.h`.
const UFFD_USER_MODE_ONLY: libc::c_int = 1;
const UFFD_API: u64 = 0xAA;
const UFFDIO_API: u32 = 0xC018_AA3F;
const UFFDIO_REGISTER: u32 = 0xC020_AA00;
const UFFDIO_ZEROPAGE: u32 = 0xC020_AA04;
const UFFDIO_REGISTER_MODE_MISSING: u64 = 1;

/// Answers one fault, after a while, from a thread of its own.
#[derive(Debug)]
pub struct Answers {
    fd: File,
    thread: JoinHandle<()>,
}

impl Answers {
    /// Starts the thread, which stands still when this is done.
    pub fn after(wait: Duration) -> Self {
        // SAFETY: flags only; the descriptor is new and the file's own.
        let fd = unsafe {
            let flags = libc::O_CLOEXEC | UFFD_USER_MODE_ONLY;
            let fd = done(libc::syscall(libc::SYS_userfaultfd, flags), "userfaultfd");
            File::from_raw_fd(fd as i32)
        };
        ask(&fd, UFFDIO_API, [UFFD_API, 0, 0]);
        let mut own = fd.try_clone().expect("a descriptor");
        let runs = Arc::new(Barrier::new(2));
        let began = Arc::clone(&runs);
        let thread = thread::spawn(move || {
            began.wait();
            // `struct uffd_msg`: what happened, flags, address, and one word more.
            let mut message = [0; 32];
            own.read_exact(&mut message).expect("a message of a fault");
            let [.., address, _] = message.as_chunks().0 else {
                return;
            };
            let bytes = page_bytes() as u64;
            let page = u64::from_ne_bytes(*address) & !(bytes - 1);
            thread::sleep(wait);
            ask(&own, UFFDIO_ZEROPAGE, [page, bytes, 0, 0]);
        });
        runs.wait();
        Self { fd, thread }
    }

    /// Has faults of `map`, of which nothing has been touched yet, wait for the answer.
    pub fn watch(&self, map: &Map) {
        let (address, bytes) = (map.address() as u64, (map.pages() * page_bytes()) as u64);
        let missing = UFFDIO_REGISTER_MODE_MISSING;
        ask(&self.fd, UFFDIO_REGISTER, [address, bytes, missing, 0]);
    }

    /// The answer has been given.
    pub fn finish(self) {
        self.thread.join().expect("the thread that answers");
    }
}

/// `struct uffdio_api`, `uffdio_register` or `uffdio_zeropage`: each is so many words.
fn ask<const N: usize>(fd: &File, request: u32, mut words: [u64; N]) {
    // SAFETY: the kernel reads and writes the request's struct, which `words` is as long as; the
    // pages that it fills in are a map's, whose bytes may change at any time.
    done(
        unsafe { libc::ioctl(fd.as_raw_fd(), request as _, words.as_mut_ptr()) },
        "ioctl of userfaultfd",
    );
}
