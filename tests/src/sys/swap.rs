//! A swap file, in use as long as it lives.

use std::{
    ffi::CString,
    fs::{self, File},
    io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
};

use super::memory::page_bytes;

/// A swap file.
#[derive(Debug)]
pub struct Swap(CString);

impl Swap {
    /// Makes one of so many pages and lets the kernel use it.
    pub fn on(path: &Path, pages: u64) -> Self {
        let page = page_bytes();
        // The header of version 1 (`union swap_header`): version and last page after the boot
        // sector, the magic word at the end of the first page.
        let mut header = vec![0; page];
        header[1024..1028].copy_from_slice(&1_u32.to_ne_bytes());
        let last = u32::try_from(pages - 1).expect("a small file");
        header[1028..1032].copy_from_slice(&last.to_ne_bytes());
        header[page - 10..].copy_from_slice(b"SWAPSPACE2");
        // Written out: a file with holes cannot be swapped to.
        header.resize(usize::try_from(pages).expect("a small file") * page, 0);
        fs::write(path, header).expect("a swap file");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a swap file");
        File::open(path)
            .and_then(|file| file.sync_all())
            .expect("a swap file");
        let name = CString::new(path.as_os_str().as_bytes()).expect("a path");
        // SAFETY: the path is a C string.
        let done = unsafe { libc::swapon(name.as_ptr(), 0) };
        assert_eq!(done, 0, "swapon: {}", io::Error::last_os_error());
        Self(name)
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        // SAFETY: the path is a C string.
        let done = unsafe { libc::swapoff(self.0.as_ptr()) };
        assert_eq!(done, 0, "swapoff: {}", io::Error::last_os_error());
    }
}
