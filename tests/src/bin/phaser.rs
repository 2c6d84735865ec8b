//! Phases of known sizes: does what its words say, one after the other.
//!
//! `begin:NAME` `end` `end:NAME` `instant:NAME` mark on the thread's own track, the same behind
//! `TRACK/` on a named one; `begin-target:NAME` `end-target:NAME` mark the whole target, and
//! `begin-beside:NAME` `end-beside:NAME` have a child do that, which is gone then;
//! `touch:PAGES` takes up so many pages, `drop` gives the last ones back; `repeat:TIMES:PAGES`
//! makes so many phases `many` of growing size up to so many pages; `unreadable` begins a phase
//! whose name cannot be read, `unreadable-end` ends one so; `pause:MS` does nothing for so many
//! milliseconds; `sentinel` and `sentinel-end` mark by `faccessat2`; `child:PAGES` forks a child that
//! takes up and gives back so many; `exec` enters this program once more, with the words after it; `threads:COUNT`,
//! `grows:PAGES` and `shrinks:PAGES` see there.
//!
//! All that it needs for this is in memory before the first word.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use tests::{
    args::Args,
    proc::Reader,
    sys::{
        mark::{Mark, mark, mark_by_sentinel, mark_unreadable},
        memory::{self, Kind, Map},
        process::{self, Program},
        sync::{Board, advance, wait_for},
    },
    truth::{self, ProcessTruth, TreeTruth},
};

/// Mappings held at most.
const MOST: usize = 64;
/// Pages that thread number `i` of `threads` touches in its step.
const STEP_PAGES: [usize; 8] = [700, 100, 900, 300, 1100, 500, 1300, 200];
/// Pages that move at least while a phase of a race is open: few enough that the next page and the
/// end meet, enough that a report has a row for every phase.
const RACED_PAGES: usize = 20;
/// Pages that move at most from before its begin to that of the next.
const RACED_AHEAD: usize = 100;
/// Steps for which each thread's phase is open.
const OPEN_STEPS: u32 = 3;

struct Player {
    held: Vec<Map>,
    board: Board,
    reader: Reader,
    child: Option<u32>,
    /// Those that the program may run on.
    cpus: Vec<usize>,
    truth: String,
}

fn main() {
    let mut args = Args::of_program();
    let truth_file: String = args.value("--truth").unwrap_or_default();
    let words = args.command();
    args.finish();
    process::refuse_huge_pages();
    let mut player = Player {
        held: Vec::with_capacity(MOST),
        board: Board::new(8),
        reader: Reader::default(),
        child: None,
        cpus: process::cpus(),
        truth: truth_file.clone(),
    };
    player.reader.own_rss();
    player.child(1);
    player.child = None;
    for practice in [
        "touch:1",
        "drop",
        "end-target:practice",
        "end-beside:practice",
        "end:practice",
        "7/end",
    ] {
        player.play(practice, &[]);
    }
    memory::fault_all_in();
    for (at, word) in words.iter().enumerate() {
        player.play(word, &words[at + 1..]);
    }
    let number = |index: usize| player.board.long(index).load(Ordering::Acquire);
    truth::write(
        &TreeTruth {
            parent: ProcessTruth {
                pid: std::process::id(),
                peak_rss_bytes: number(1),
            },
            children: player
                .child
                .map(|pid| ProcessTruth {
                    pid,
                    peak_rss_bytes: number(0),
                })
                .into_iter()
                .collect(),
            together_rss_bytes: Some(number(0) + number(1)),
        },
        (!truth_file.is_empty()).then_some(Path::new(&truth_file)),
    );
}

/// A child marks.
fn beside(what: Mark, name: &str) {
    let pid = process::fork(|| {
        mark(what, name, 0);
        0
    });
    assert_eq!(process::wait(pid).code, 0, "the child marked");
}

impl Player {
    fn play(&mut self, word: &str, rest: &[String]) {
        let (track, word) = match word.split_once('/') {
            Some((track, word)) => (track.parse().expect("a track"), word),
            None => (0, word),
        };
        let (word, value) = word.split_once(':').unwrap_or((word, ""));
        let pages = || value.parse().expect("a number of pages");
        match word {
            "begin" => mark(Mark::Begin, value, track),
            "end" => mark(Mark::End, value, track),
            "instant" => mark(Mark::Instant, value, track),
            "begin-target" => mark(Mark::BeginTarget, value, track),
            "end-target" => mark(Mark::EndTarget, value, track),
            "begin-beside" => beside(Mark::BeginTarget, value),
            "end-beside" => beside(Mark::EndTarget, value),
            "sentinel" => mark_by_sentinel(0, c"Steps:sentinel"),
            "sentinel-end" => mark_by_sentinel(1, c"Steps:sentinel"),
            "unreadable" => mark_unreadable(Mark::Begin),
            "unreadable-end" => mark_unreadable(Mark::End),
            "touch" => {
                assert!(self.held.len() < MOST, "too many mappings");
                let map = Map::new(Kind::Private, pages());
                map.write_all();
                self.held.push(map);
            }
            "pause" => {
                let ms = value.parse().expect("milliseconds");
                thread::sleep(Duration::from_millis(ms));
            }
            "drop" => drop(self.held.pop().expect("something to drop")),
            "repeat" => {
                let (times, most) = value.split_once(':').expect("TIMES:PAGES");
                let (times, most): (usize, usize) = (
                    times.parse().expect("a number"),
                    most.parse().expect("a number"),
                );
                for time in 0..times {
                    mark(Mark::Begin, "many", 0);
                    Map::new(Kind::Private, 1 + time % most).write_all();
                    mark(Mark::End, "", 0);
                }
            }
            "child" => self.child(pages()),
            "exec" => self.exec(rest),
            "threads" => threads(value.parse().expect("a number of threads")),
            "grows" => race(pages(), Goes::Up, &self.cpus),
            "shrinks" => race(pages(), Goes::Down, &self.cpus),
            _ => panic!("{word}: not understood"),
        }
    }

    /// A child that takes up pages and gives them back; both are looked at while it stands still.
    fn child(&mut self, pages: usize) {
        let pid = process::fork(|| {
            let mut reader = Reader::default();
            reader.own_rss();
            memory::fault_all_in();
            let map = Map::new(Kind::Private, pages);
            map.write_all();
            self.board
                .long(0)
                .store(reader.own_rss(), Ordering::Release);
            drop(map);
            0
        });
        assert_eq!(process::wait(pid).code, 0, "the child failed");
        let own = self.reader.own_rss();
        self.board.long(1).store(own, Ordering::Release);
        self.child = Some(pid);
    }

    fn exec(&self, rest: &[String]) {
        let path = std::env::current_exe().expect("an own path");
        let path = path.into_os_string().into_string().expect("UTF-8");
        let mut argv = vec![path];
        if !self.truth.is_empty() {
            argv.extend(["--truth".to_owned(), self.truth.clone()]);
        }
        argv.push("--".to_owned());
        argv.extend(rest.iter().cloned());
        std::process::exit(Program::new(&argv).exec());
    }
}

/// Threads with a phase each, open for [`OPEN_STEPS`] steps; in step `i` thread `i` alone moves:
/// it begins its phase, takes up its pages, and gives them back. Others' phases that are open
/// then see that as well.
fn threads(count: usize) {
    assert!(
        count <= STEP_PAGES.len(),
        "at most {} threads",
        STEP_PAGES.len()
    );
    let names: Vec<String> = (0..count)
        .map(|number| format!("thread-{number}"))
        .collect();
    let board = Board::new(8);
    // A step is two ticks: in the first a phase ends, in the second the next one begins.
    let ticks = 2 * (count as u32 + OPEN_STEPS);
    thread::scope(|scope| {
        for (number, name) in names.iter().enumerate() {
            let (clock, done) = (board.word(0), board.word(1));
            let first = 2 * (number as u32 + 1);
            scope.spawn(move || {
                // What a thread needs for its part is in memory before the first step.
                Map::new(Kind::Private, 1).write_all();
                mark(Mark::End, "practice", 0);
                advance(done);
                for tick in 1..=ticks {
                    wait_for(clock, tick);
                    if tick == first + 2 * OPEN_STEPS - 1 {
                        mark(Mark::End, "", 0);
                    }
                    if tick == first {
                        mark(Mark::Begin, name, 0);
                        Map::new(Kind::Private, STEP_PAGES[number]).write_all();
                    }
                    advance(done);
                }
            });
        }
        let (clock, done) = (board.word(0), board.word(1));
        wait_for(done, count as u32);
        memory::fault_all_in();
        for tick in 1..=ticks {
            advance(clock);
            wait_for(done, count as u32 * (tick + 1));
        }
    });
}

/// Where the level goes while phases begin and end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goes {
    Up,
    Down,
}

/// One phase after the other, while a thread on another CPU takes up pages, or gives them back, one by
/// one: the level goes one way only, so that the highest of a phase is that of its end or begin.
///
/// Neither runs away from the other, however they are scheduled: a phase is open until some pages
/// have moved, and pages move only so far ahead of the phase.
fn race(pages: usize, goes: Goes, cpus: &[usize]) {
    let name = match goes {
        Goes::Up => "grows",
        Goes::Down => "shrinks",
    };
    let (own, other) = (cpus[0], *cpus.last().expect("a CPU"));
    let page = || {
        let map = Map::new(Kind::Private, 1);
        map.write_all();
        map
    };
    let mut held = Vec::with_capacity(pages);
    if goes == Goes::Down {
        held.extend((0..pages).map(|_| page()));
    }
    let board = Board::new(8);
    let (clock, done) = (board.word(0), board.word(1));
    let (moved, allowed) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(move || {
            process::move_to(other);
            // How it is done is in memory before it counts.
            drop(page());
            advance(done);
            wait_for(clock, 1);
            for number in 0..pages {
                while allowed.load(Ordering::Acquire) <= number {
                    thread::yield_now();
                }
                match goes {
                    Goes::Up => held.push(page()),
                    Goes::Down => drop(held.pop()),
                }
                moved.store(number + 1, Ordering::Release);
            }
            advance(done);
            // Its end gives back what it stands on.
            wait_for(clock, 2);
        });
        process::move_to(own);
        wait_for(done, 1);
        memory::fault_all_in();
        advance(clock);
        let mut begun = 0;
        while begun < pages {
            allowed.store(begun + RACED_AHEAD, Ordering::Release);
            mark(Mark::Begin, name, 0);
            while moved.load(Ordering::Acquire) < (begun + RACED_PAGES).min(pages) {
                thread::yield_now();
            }
            mark(Mark::End, "", 0);
            begun = moved.load(Ordering::Acquire);
        }
        wait_for(done, 2);
        advance(clock);
    });
}
