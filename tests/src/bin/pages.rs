//! Maps and touches a known number of pages of each class, holds the peak, and gives all back.
//!
//! Before the climb that counts it makes the same climb with a page or two of each class, so that
//! every page of code, stack and heap that it needs is resident. Then it takes up a ballast larger
//! than that practice, which makes the second climb its highest level by far and gives way before
//! anything else happens. The truth is the level at the standstill between the two, plus arithmetic.
//!
//! The last page of a climb, the crown, is an anonymous page of its own: whatever the classes do
//! on their way (copy on write turns file pages into anonymous ones), the peak is reached once.

use std::{
    fs::File,
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tests::{
    args::Args,
    pace::paced,
    proc::Reader,
    sys::{
        file,
        memory::{self, Break, Kind, Map},
        process,
    },
    truth::{self, Level, PagesTruth},
};

/// A peak held for less than this is called brief.
const BRIEF_NS: u64 = 100_000;

/// Pages of each class.
#[derive(Clone, Copy)]
struct Plan {
    anon: usize,
    shared: usize,
    memfd: usize,
    /// Shared mapping of a file, read.
    file: usize,
    /// Private mapping of a file, read.
    private_file: usize,
    /// Private mapping of a file, read and then written to.
    cow: usize,
    populate: usize,
    /// Half of it first, then grown by `mremap`, then moved.
    mremap: usize,
    /// Huge pages.
    thp: usize,
    brk: usize,
}

impl Plan {
    fn from_args(args: &mut Args) -> Self {
        Self {
            anon: args.value_or("--anon", 0),
            shared: args.value_or("--shared", 0),
            memfd: args.value_or("--memfd", 0),
            file: args.value_or("--file", 0),
            private_file: args.value_or("--private-file", 0),
            cow: args.value_or("--cow", 0),
            populate: args.value_or("--populate", 0),
            mremap: args.value_or("--mremap", 0),
            thp: args.value_or("--thp", 0),
            brk: args.value_or("--brk", 0),
        }
    }

    /// The least climb that goes through the same code.
    fn practice(self) -> Self {
        Self {
            anon: self.anon.min(1),
            shared: self.shared.min(1),
            memfd: self.memfd.min(1),
            file: self.file.min(1),
            private_file: self.private_file.min(1),
            cow: self.cow.min(1),
            populate: self.populate.min(1),
            mremap: self.mremap.min(2),
            thp: self.thp.min(1),
            brk: self.brk.min(1),
        }
    }

    fn anon_pages(&self) -> usize {
        let huge = self.thp * memory::huge_page_pages();
        self.anon + self.cow + self.populate + self.mremap + huge + self.brk
    }

    fn file_pages(&self) -> usize {
        self.file + self.private_file
    }

    fn shmem_pages(&self) -> usize {
        self.shared + self.memfd
    }

    fn pages(&self) -> usize {
        self.anon_pages() + self.file_pages() + self.shmem_pages()
    }
}

/// How long the peak is held.
#[derive(Clone, Copy)]
enum Hold {
    /// Not at all.
    Brief,
    /// So long.
    For(Duration),
    /// Until a line comes.
    UntilInput,
}

/// What a climb found.
struct Climb {
    crown: usize,
    held_ns: u64,
    seen: Option<Level>,
    huge_bytes: Option<u64>,
}

fn main() {
    let mut args = Args::of_program();
    let plan = Plan::from_args(&mut args);
    // To wait for a line before the climb, and after all is over.
    let gate = args.flag("--gate");
    let linger = args.flag("--linger");
    let hold = match (args.flag("--brief"), args.flag("--wait")) {
        (true, _) => Hold::Brief,
        (false, true) => Hold::UntilInput,
        (false, false) => Hold::For(Duration::from_millis(args.value_or("--hold-ms", 20))),
    };
    let directory: PathBuf = args.value_or("--dir", std::env::current_dir().expect("a directory"));
    let truth_file: Option<PathBuf> = args.value("--truth");
    let start_after_ms: u64 = args.value_or("--start-after-ms", 0);
    args.finish();
    std::thread::sleep(Duration::from_millis(start_after_ms));

    if plan.thp == 0 {
        process::refuse_huge_pages();
    }
    let file = cached_file(&directory, plan.file.max(plan.private_file).max(plan.cow));
    let memfd = file::memfd(plan.memfd.max(1));
    let mut reader = Reader::default();

    climb(&plan.practice(), &file, &memfd, hold, true, &mut reader);
    let ballast = memory::ballast(plan.practice().pages() + 512);
    process::say(if gate { b"ready\n" } else { b"" });
    process::await_line(gate);
    reader.own_level();
    let base = reader.own_level();

    let climb = climb(&plan, &file, &memfd, hold, false, &mut reader);
    drop(ballast);

    let anon = plan.anon_pages() + climb.crown;
    let peak = base.plus_pages(anon, plan.file_pages(), plan.shmem_pages());
    if let Some(seen) = climb.seen {
        assert_eq!(seen, peak, "the plateau is not what was touched");
    }
    let truth = PagesTruth {
        pid: std::process::id(),
        base,
        peak,
        seen: climb.seen,
        huge_bytes: climb.huge_bytes,
        held_ns: climb.held_ns,
    };
    truth::write(&truth, truth_file.as_deref());
    if linger {
        process::say(b"over\n");
        process::await_line(true);
    }
}

/// A file of the process's own whose pages are all in the page cache.
fn cached_file(directory: &Path, pages: usize) -> File {
    let mut file = file::unnamed_file(directory);
    assert!(
        !file::is_on_tmpfs(&file),
        "{}: tmpfs has no file pages",
        directory.display()
    );
    let page = vec![0x5a; memory::page_bytes()];
    for _ in 0..pages {
        file.write_all(&page).expect("writing an own file");
    }
    for number in 0..pages {
        let mut byte = [0];
        file.read_exact_at(&mut byte, (number * page.len()) as u64)
            .expect("reading an own file");
    }
    file
}

fn mapped(kind: Kind<'_>, pages: usize) -> Option<Map> {
    (pages > 0).then(|| Map::new(kind, pages))
}

/// Builds the plateau, class by class, then the crown; holds; gives back the crown, then the rest.
#[inline(never)]
fn climb(
    plan: &Plan,
    file: &File,
    memfd: &File,
    hold: Hold,
    practice: bool,
    reader: &mut Reader,
) -> Climb {
    let anon = mapped(Kind::Private, plan.anon);
    anon.iter().for_each(Map::write_all);
    let shared = mapped(Kind::Shared, plan.shared);
    shared.iter().for_each(Map::write_all);
    let in_memory = mapped(Kind::SharedFile(memfd), plan.memfd);
    in_memory.iter().for_each(Map::write_all);
    let shared_file = mapped(Kind::SharedFile(file), plan.file);
    shared_file.iter().for_each(Map::read_all);
    let private_file = mapped(Kind::PrivateFile(file), plan.private_file);
    private_file.iter().for_each(Map::read_all);
    let cow = mapped(Kind::PrivateFile(file), plan.cow);
    cow.iter().for_each(Map::read_all);
    cow.iter().for_each(Map::write_all);
    let populated = mapped(Kind::Populated, plan.populate);
    let mut remapped = mapped(Kind::Private, plan.mremap.div_ceil(2));
    if let Some(map) = &mut remapped {
        map.write_all();
        map.resize(plan.mremap);
        (plan.mremap.div_ceil(2)..plan.mremap).for_each(|page| map.write(page));
        map.relocate();
        map.write_all();
    }
    let huge = (plan.thp > 0).then(|| Map::huge(plan.thp));
    huge.iter().for_each(Map::write_all);
    let broken = (plan.brk > 0).then(|| Break::grow(plan.brk));
    broken.iter().for_each(Break::write_all);

    let mut found = Climb {
        crown: 1,
        held_ns: 0,
        seen: None,
        huge_bytes: None,
    };
    if matches!(hold, Hold::Brief) {
        // A peak that was held for too long (the scheduler was at it) is surpassed by the next.
        loop {
            found.held_ns = brief_crown(found.crown);
            if found.held_ns < paced(BRIEF_NS) || practice {
                break;
            }
            found.crown += 1;
        }
    } else {
        let before = process::now_ns();
        let crown = Map::new(Kind::Private, found.crown);
        crown.write_all();
        found.seen = Some(reader.own_level());
        found.huge_bytes = Some(reader.own_huge_bytes());
        if let Hold::For(time) = hold {
            std::thread::sleep(if practice {
                Duration::from_nanos(1)
            } else {
                time
            });
        } else {
            process::say(if practice { b"" } else { b"plateau\n" });
            process::await_line(!practice);
        }
        drop(crown);
        found.held_ns = process::now_ns() - before;
    }
    drop((
        anon,
        shared,
        in_memory,
        shared_file,
        private_file,
        cow,
        populated,
        remapped,
        huge,
    ));
    found
}

/// Makes the peak and ends it; returns the time that holding it cannot have exceeded.
fn brief_crown(pages: usize) -> u64 {
    let crown = Map::new(Kind::Private, pages);
    (0..pages - 1).for_each(|page| crown.write(page));
    let before = process::now_ns();
    crown.write(pages - 1);
    drop(crown);
    process::now_ns() - before
}
