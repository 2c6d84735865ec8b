//! What the kernel has loaded of BPF, asked without any library: ids, and the values of maps.

use std::{
    io,
    mem::{MaybeUninit, size_of},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use tracer_common::WireSafe;

/// `enum bpf_cmd` of `linux/bpf.h`.
mod command {
    pub(super) const MAP_LOOKUP_ELEM: i32 = 1;
    pub(super) const MAP_GET_NEXT_KEY: i32 = 4;
    pub(super) const MAP_GET_FD_BY_ID: i32 = 14;
    pub(super) const OBJ_GET_INFO_BY_FD: i32 = 15;
}

/// Kinds of loaded things, by the command that lists their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Kind {
    /// `BPF_PROG_GET_NEXT_ID`
    Program = 11,
    /// `BPF_MAP_GET_NEXT_ID`
    Map = 12,
    /// `BPF_LINK_GET_NEXT_ID`
    Link = 31,
}

/// The part of `union bpf_attr` that the commands here use: words, all zero by default.
#[repr(C, align(8))]
#[derive(Default)]
struct Attr([u32; 8]);

impl Attr {
    fn with_pointer(mut self, word: usize, address: u64) -> Self {
        let bytes = address.to_ne_bytes();
        for (half, part) in bytes.chunks_exact(4).enumerate() {
            self.0[word + half] = u32::from_ne_bytes(part.try_into().expect("four bytes"));
        }
        self
    }

    /// Makes the call; `None` if there is no such thing.
    ///
    /// # Safety
    ///
    /// Addresses among the words must be good for what the command reads and writes there.
    unsafe fn call(&mut self, command: i32) -> Option<i32> {
        // SAFETY: by this function's contract; the kernel accepts a prefix of the union.
        let result = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                command,
                &raw mut *self,
                size_of::<Self>() as u32,
            )
        };
        if result >= 0 {
            return Some(result as i32);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ENOENT) => None,
            _ => panic!("bpf() command {command}: {error}"),
        }
    }
}

/// Ids of everything of a kind that is loaded, by anybody.
pub fn ids(kind: Kind) -> Vec<u32> {
    let mut ids = Vec::new();
    let mut attr = Attr::default();
    // SAFETY: this command has no addresses.
    while unsafe { attr.call(kind as i32) }.is_some() {
        ids.push(attr.0[1]);
        attr.0[0] = attr.0[1];
    }
    ids
}

/// A map of another process.
#[derive(Debug)]
pub struct OpenMap {
    fd: OwnedFd,
    /// Its name, at most 15 bytes of it.
    pub name: String,
    key_bytes: usize,
    value_bytes: usize,
}

impl OpenMap {
    /// Opens a map by id; `None` if it is gone.
    pub fn by_id(id: u32) -> Option<Self> {
        let mut attr = Attr([id, 0, 0, 0, 0, 0, 0, 0]);
        // SAFETY: this command has no addresses.
        let fd = unsafe { attr.call(command::MAP_GET_FD_BY_ID) }?;
        // SAFETY: a new descriptor that nobody else knows.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };

        // `struct bpf_map_info`: type, id, key_size, value_size, max_entries, map_flags, name[16].
        let mut info = [0_u32; 10];
        let mut attr = Attr([
            fd.as_raw_fd() as u32,
            size_of_val(&info) as u32,
            0,
            0,
            0,
            0,
            0,
            0,
        ])
        .with_pointer(2, &raw mut info as u64);
        // SAFETY: `info` is as long as the attribute says and outlives the call.
        unsafe { attr.call(command::OBJ_GET_INFO_BY_FD) }?;
        let name: Vec<u8> = info[6..10]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        let name = String::from_utf8_lossy(name.split(|byte| *byte == 0).next().unwrap_or(&[]));
        Some(Self {
            fd,
            name: name.into_owned(),
            key_bytes: info[2] as usize,
            value_bytes: info[3] as usize,
        })
    }

    /// Everything in a hash map that nobody changes meanwhile.
    pub fn entries<K: WireKey, V: WireSafe>(&self) -> Vec<(K, V)> {
        assert_eq!(self.key_bytes, size_of::<K>(), "key of {}", self.name);
        assert_eq!(self.value_bytes, size_of::<V>(), "value of {}", self.name);
        let fd = self.fd.as_raw_fd() as u32;
        let mut entries = Vec::new();
        let mut last: Option<K> = None;
        loop {
            let mut key = MaybeUninit::<K>::zeroed();
            let before = last.as_ref().map_or(0, |key| &raw const *key as u64);
            let mut attr = Attr([fd, 0, 0, 0, 0, 0, 0, 0])
                .with_pointer(2, before)
                .with_pointer(4, key.as_mut_ptr() as u64);
            // SAFETY: both keys have the map's size and outlive the call.
            if unsafe { attr.call(command::MAP_GET_NEXT_KEY) }.is_none() {
                return entries;
            }
            // SAFETY: integers; zeroed, then written by the kernel.
            let key = unsafe { key.assume_init() };
            let mut value = MaybeUninit::<V>::zeroed();
            let mut attr = Attr([fd, 0, 0, 0, 0, 0, 0, 0])
                .with_pointer(2, &raw const key as u64)
                .with_pointer(4, value.as_mut_ptr() as u64);
            // SAFETY: key and value have the map's sizes and outlive the call.
            if unsafe { attr.call(command::MAP_LOOKUP_ELEM) }.is_some() {
                // SAFETY: any bit pattern is a value of a wire-safe type.
                entries.push((key, unsafe { value.assume_init() }));
            }
            last = Some(key);
        }
    }
}

/// Integers that serve as keys.
///
/// # Safety
///
/// Any bit pattern must be a value.
pub unsafe trait WireKey: Copy {}
// SAFETY: an integer.
unsafe impl WireKey for u32 {}
// SAFETY: an integer.
unsafe impl WireKey for u64 {}
