//! Files that a workload maps: in memory, on tmpfs, and those whose pages are cache.

use std::{
    ffi::CStr,
    fs::File,
    os::fd::{AsRawFd, FromRawFd},
    path::Path,
};

use super::{done, memory::page_bytes};

/// Makes a file of `pages` pages that exists in memory only.
pub fn memfd(pages: usize) -> File {
    const NAME: &CStr = c"workload";
    // SAFETY: the name is a C string; the descriptor is new and owned by the file from here on.
    let file = unsafe {
        File::from_raw_fd(done(
            libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC),
            "memfd",
        ))
    };
    file.set_len((pages * page_bytes()) as u64)
        .expect("ftruncate of a memfd");
    file
}

/// An own file of `pages` pages on tmpfs, without a name.
pub fn tmpfs_file(pages: usize) -> File {
    let file = unnamed_file(Path::new("/dev/shm"));
    assert!(is_on_tmpfs(&file), "/dev/shm is no tmpfs");
    file.set_len((pages * page_bytes()) as u64)
        .expect("ftruncate");
    file
}

/// A file of the process's own in a folder, without a name: gone when it is closed.
pub fn unnamed_file(directory: &Path) -> File {
    let path = directory.join(format!("own.{}", std::process::id()));
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    std::fs::remove_file(&path).expect("removing an own file");
    file
}

/// Tells whether a file lies on a file system whose pages count as shared memory (tmpfs).
pub fn is_on_tmpfs(file: &File) -> bool {
    // SAFETY: an all-zero statfs is a value, and the call only writes to it.
    let kind = unsafe {
        let mut stat: libc::statfs = std::mem::zeroed();
        done(libc::fstatfs(file.as_raw_fd(), &mut stat), "fstatfs");
        stat.f_type
    };
    kind == libc::TMPFS_MAGIC
}

/// Takes a file's pages out of the page cache, after writing them back.
pub fn forget_cached(file: &File) {
    file.sync_all().expect("fsync");
    // SAFETY: advice about a file reaches no memory of this process.
    let error = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    assert_eq!(error, 0, "posix_fadvise");
}
