//! Memory that a workload maps, touches and gives back, page by page.

use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    ptr::{self, NonNull},
    sync::{
        OnceLock,
        atomic::{AtomicU8, Ordering},
    },
};

use super::done;

/// Bytes of a page.
pub fn page_bytes() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    // SAFETY: sysconf only returns a number.
    *BYTES.get_or_init(|| done(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }, "sysconf") as usize)
}

/// Pages of a huge page: a page full of the page table's entries (2 MiB where a page has 4 KiB).
pub fn huge_page_pages() -> usize {
    page_bytes() / size_of::<u64>()
}

/// Has the kernel add what this thread has counted apart to its space's count (before Linux 6.2),
/// without changing either: giving back a page that is not there does it, where a page table is.
pub fn hand_in_counts() {
    static PLACE: OnceLock<Map> = OnceLock::new();
    let place = PLACE.get_or_init(|| Map::new(Kind::Private, 2));
    // Reading maps the page of zeros, which is nobody's memory, in a page table.
    place.read(0);
    place.advise(1, 1, libc::MADV_DONTNEED);
}

/// What a mapping is made of.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'a> {
    /// Private anonymous memory.
    Private,
    /// The same, all of it faulted in by `mmap` itself.
    Populated,
    /// Shared anonymous memory.
    Shared,
    /// A file, shared; written to if the file is a memfd.
    SharedFile(&'a File),
    /// A file, private.
    PrivateFile(&'a File),
}

/// A mapping, unmapped when dropped.
#[derive(Debug)]
pub struct Map {
    start: NonNull<u8>,
    pages: usize,
}

// SAFETY: the mapping belongs to this value alone, and its bytes are reached as atomics only.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Maps `pages` pages, of which none is a huge page.
    pub fn new(kind: Kind<'_>, pages: usize) -> Self {
        let map = Self::raw(kind, pages);
        if matches!(kind, Kind::Private | Kind::Shared) {
            map.advise(0, pages, libc::MADV_NOHUGEPAGE);
        }
        map
    }

    /// Maps `count` huge pages, aligned, for the kernel to fill with huge pages.
    pub fn huge(count: usize) -> Self {
        let pages = count * huge_page_pages();
        let wide = Self::raw(Kind::Private, pages + huge_page_pages());
        let address = wide.address();
        let aligned = address.next_multiple_of(huge_page_pages() * page_bytes());
        let before = (aligned - address) / page_bytes();
        let map = wide.part(before, pages);
        map.advise(0, pages, libc::MADV_HUGEPAGE);
        map
    }

    /// Maps `count` huge pages of hugetlb.
    pub fn hugetlb(count: usize) -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_HUGETLB;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        Self::placed_anywhere(count * huge_page_pages(), protection, flags, -1)
    }

    /// Writes to the first page of each huge page.
    pub fn write_each_huge(&self) {
        (0..self.pages)
            .step_by(huge_page_pages())
            .for_each(|page| self.write(page));
    }

    /// Has the kernel move all of it to swap (`MADV_PAGEOUT`), as far as it can.
    pub fn page_out(&self) {
        self.advise(0, self.pages, libc::MADV_PAGEOUT);
    }

    /// Maps `pages` pages by one call and says nothing more to the kernel.
    pub fn mapped(kind: Kind<'_>, pages: usize) -> Self {
        Self::raw(kind, pages)
    }

    /// Asks for a mapping of no length, which is refused.
    pub fn refused() {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: no address is asked for, and nothing is mapped.
        let got = unsafe { libc::mmap(ptr::null_mut(), 0, libc::PROT_READ, flags, -1, 0) };
        assert_eq!(got, libc::MAP_FAILED, "a mapping of no length");
    }

    /// Asks for more than there can be, which is refused for want of memory.
    pub fn beyond(bytes: usize) {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: no address is asked for, and nothing is mapped.
        let got = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
        let error = io::Error::last_os_error().raw_os_error();
        assert_eq!(
            (got, error),
            (libc::MAP_FAILED, Some(libc::ENOMEM)),
            "{bytes} bytes"
        );
    }

    /// Lays a new private mapping over `pages` pages from `first` on.
    pub fn overlay(&mut self, first: usize, pages: usize) {
        assert!(first + pages <= self.pages);
        let address = self.at(first).as_ptr().cast();
        // As the mapping itself, so that the kernel makes one of both again.
        let anonymous = libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let flags = libc::MAP_PRIVATE | anonymous | libc::MAP_FIXED;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let bytes = pages * page_bytes();
        // SAFETY: within the mapping, and `&mut self` proves that no reference into it exists.
        let laid = unsafe { libc::mmap(address, bytes, protection, flags, -1, 0) };
        assert_eq!(laid, address, "mmap: {}", io::Error::last_os_error());
    }

    fn raw(kind: Kind<'_>, pages: usize) -> Self {
        let anonymous = libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let write = libc::PROT_READ | libc::PROT_WRITE;
        let (protection, flags, fd) = match kind {
            Kind::Private => (write, libc::MAP_PRIVATE | anonymous, -1),
            Kind::Populated => (
                write,
                libc::MAP_PRIVATE | anonymous | libc::MAP_POPULATE,
                -1,
            ),
            Kind::Shared => (write, libc::MAP_SHARED | anonymous, -1),
            Kind::SharedFile(file) => (write, libc::MAP_SHARED, file.as_raw_fd()),
            Kind::PrivateFile(file) => (write, libc::MAP_PRIVATE, file.as_raw_fd()),
        };
        Self::placed_anywhere(pages, protection, flags, fd)
    }

    fn placed_anywhere(pages: usize, protection: i32, flags: i32, fd: i32) -> Self {
        // SAFETY: no address is asked for, so nothing that exists is replaced.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                pages * page_bytes(),
                protection,
                flags,
                fd,
                0,
            )
        };
        assert!(
            start != libc::MAP_FAILED,
            "mmap: {}",
            io::Error::last_os_error()
        );
        let start = NonNull::new(start.cast()).expect("mmap chose an address");
        Self { start, pages }
    }

    /// Gives back all but `pages` pages from `first` on.
    fn part(self, first: usize, pages: usize) -> Self {
        let last = first + pages;
        assert!(last <= self.pages);
        let (before, after) = (self.at(0), self.at(last));
        let (start, rest) = (self.at(first), self.pages - last);
        std::mem::forget(self);
        for (piece, count) in [(before, first), (after, rest)] {
            if count > 0 {
                // SAFETY: this part of the mapping is given up with the value forgotten above.
                done(
                    unsafe { libc::munmap(piece.as_ptr().cast(), count * page_bytes()) },
                    "munmap",
                );
            }
        }
        Self { start, pages }
    }

    /// Pages.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Address of the first byte.
    pub fn address(&self) -> usize {
        self.start.as_ptr() as usize
    }

    fn at(&self, page: usize) -> NonNull<u8> {
        assert!(page <= self.pages);
        // SAFETY: within the mapping, or one past its end.
        unsafe { self.start.add(page * page_bytes()) }
    }

    /// First byte of a page.
    pub fn byte(&self, page: usize) -> &AtomicU8 {
        assert!(page < self.pages);
        // SAFETY: mapped for as long as `self` lives, aligned, and only ever used as an atomic.
        unsafe { AtomicU8::from_ptr(self.at(page).as_ptr()) }
    }

    /// Writes to a page.
    pub fn write(&self, page: usize) {
        self.byte(page).store(1, Ordering::Relaxed);
    }

    /// Reads from a page.
    pub fn read(&self, page: usize) -> u8 {
        self.byte(page).load(Ordering::Relaxed)
    }

    /// Writes to every page.
    pub fn write_all(&self) {
        (0..self.pages).for_each(|page| self.write(page));
    }

    /// Reads from every page.
    pub fn read_all(&self) {
        (0..self.pages).for_each(|page| {
            self.read(page);
        });
    }

    /// Drops `count` pages from `first` on (`MADV_DONTNEED`).
    pub fn drop_pages(&self, first: usize, count: usize) {
        self.advise(first, count, libc::MADV_DONTNEED);
    }

    /// Lets the kernel take `count` pages from `first` on when it likes (`MADV_FREE`).
    pub fn free_pages(&self, first: usize, count: usize) {
        self.advise(first, count, libc::MADV_FREE);
    }

    /// Keeps the kernel from reading more of a file than is touched (`MADV_RANDOM`).
    pub fn expect_no_order(&self) {
        self.advise(0, self.pages, libc::MADV_RANDOM);
    }

    fn advise(&self, first: usize, count: usize, advice: i32) {
        assert!(first + count <= self.pages);
        let (start, bytes) = (self.at(first).as_ptr().cast(), count * page_bytes());
        // SAFETY: within the mapping; its bytes are atomics, which may change at any time.
        done(unsafe { libc::madvise(start, bytes, advice) }, "madvise");
    }

    /// Grows or shrinks the mapping; it may move.
    pub fn resize(&mut self, pages: usize) {
        let (old, new) = (self.pages * page_bytes(), pages * page_bytes());
        let start = self.start.as_ptr().cast();
        // SAFETY: `&mut self` proves that no reference into the mapping exists.
        let moved = unsafe { libc::mremap(start, old, new, libc::MREMAP_MAYMOVE) };
        self.moved_to(moved, pages);
    }

    /// Moves the mapping to another address.
    pub fn relocate(&mut self) {
        let room = Self::raw(Kind::Private, self.pages);
        let bytes = self.pages * page_bytes();
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        let (from, to) = (self.start.as_ptr(), room.start.as_ptr());
        // SAFETY: `to` is a mapping of its own that nothing refers to; it is given up below.
        let moved = unsafe { libc::mremap(from.cast(), bytes, bytes, flags, to) };
        std::mem::forget(room);
        self.moved_to(moved, self.pages);
    }

    fn moved_to(&mut self, address: *mut libc::c_void, pages: usize) {
        assert!(
            address != libc::MAP_FAILED,
            "mremap: {}",
            io::Error::last_os_error()
        );
        self.start = NonNull::new(address.cast()).expect("mremap chose an address");
        self.pages = pages;
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let start = self.start.as_ptr().cast();
        // SAFETY: the mapping belongs to this value, which ends here.
        done(
            unsafe { libc::munmap(start, self.pages * page_bytes()) },
            "munmap",
        );
    }
}

/// Pages that a workload gives back right after its plateau, so that nothing which it does later
/// (writing down its truth, ending) comes near the peak. Giving back is practised here.
pub fn ballast(pages: usize) -> Map {
    Map::new(Kind::Private, 1).write_all();
    let map = Map::new(Kind::Private, pages);
    map.write_all();
    map
}

/// The program break moved up; moved back when dropped. Nothing may be allocated meanwhile.
#[derive(Debug)]
pub struct Break {
    map: std::mem::ManuallyDrop<Map>,
    moved: isize,
}

impl Break {
    /// Moves the break up by `pages` whole pages.
    pub fn grow(pages: usize) -> Self {
        let start = Self::shift(0).next_multiple_of(page_bytes());
        let moved = start - Self::shift(0) + pages * page_bytes();
        let moved = isize::try_from(moved).expect("a size");
        Self::shift(moved);
        let start = NonNull::new(start as *mut u8).expect("the break is not at 0");
        Self {
            map: std::mem::ManuallyDrop::new(Map { start, pages }),
            moved,
        }
    }

    /// Moves the break up by `pages` pages from where it is, by one call.
    pub fn grow_exactly(pages: usize) -> Self {
        let start = Self::shift(isize::try_from(pages * page_bytes()).expect("a size"));
        let start = NonNull::new(start as *mut u8).expect("the break is not at 0");
        Self {
            map: std::mem::ManuallyDrop::new(Map { start, pages }),
            moved: isize::try_from(pages * page_bytes()).expect("a size"),
        }
    }

    /// Writes to every page.
    pub fn write_all(&self) {
        self.map.write_all();
    }

    fn shift(by: isize) -> usize {
        // SAFETY: only ever down by what this type moved it up before; the allocator copes with
        // a break that others move.
        let old = unsafe { libc::sbrk(by) };
        assert!(old as isize != -1, "sbrk: {}", io::Error::last_os_error());
        old as usize
    }
}

impl Drop for Break {
    fn drop(&mut self) {
        Self::shift(-self.moved);
    }
}

/// Keeps what this process has touched, now and later, from being reclaimed: on a machine that
/// pages out what is cold, a level read by the workload and one read later would differ. Touches
/// nothing by itself, and does not pass to a forked child.
pub fn keep_resident() {
    lock_all(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT);
}

/// Faults in all that this process has mapped, and keeps it: from here on it takes no fault for
/// what exists already, its way out included.
pub fn fault_all_in() {
    lock_all(libc::MCL_CURRENT);
}

fn lock_all(flags: i32) {
    // SAFETY: the call takes flags only.
    done(unsafe { libc::mlockall(flags) }, "mlockall");
}
