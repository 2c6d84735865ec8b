//! A random mix of everything that moves RSS, in several threads and processes, for as long as it
//! is let: to be stopped at any moment and looked at.
//!
//! The first process leads a group of its own, in which all the others stay, and says `ready` and
//! its PID; with `--until-input` it goes on until its stdin ends. It never forks by `vfork`: a
//! parent asleep there cannot be stopped.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use tests::{
    args::Args,
    sys::{
        memory::{Kind, Map},
        process::{self, Program},
    },
};

/// Regions that a thread holds at most.
const REGIONS: usize = 12;
/// Pages of a region at most.
const PAGES: usize = 256;
/// Children that a thread has at most at a time.
const CHILDREN: usize = 2;
/// Steps of a forked child.
const CHILD_STEPS: usize = 300;
/// Steps of each thread of a process that was entered by exec.
const EXEC_STEPS: usize = 2_000;
/// Execs below the first process.
const DEPTH: u32 = 1;

static OVER: AtomicBool = AtomicBool::new(false);

fn main() {
    let mut args = Args::of_program();
    let seed: u64 = args.value_or("--seed", 1);
    let threads: u64 = args.value_or("--threads", 3);
    let depth: u32 = args.value_or("--depth", 0);
    let steps: usize = args.value_or("--steps", usize::MAX);
    let seconds: u64 = args.value_or("--seconds", 600);
    let until_input = args.flag("--until-input");
    args.finish();
    if depth == 0 {
        process::lead_group();
        process::say(format!("ready {}\n", std::process::id()).as_bytes());
    }

    let end = Instant::now() + Duration::from_secs(seconds);
    thread::scope(|scope| {
        for number in 1..=threads {
            scope.spawn(move || {
                let seed = seed
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    .wrapping_add(number);
                let again = (depth < DEPTH).then(|| again(seed, depth + 1));
                let mut player = Player::new(seed);
                for _ in 0..steps {
                    if Instant::now() >= end || OVER.load(Ordering::Relaxed) {
                        break;
                    }
                    player.step(again.as_ref());
                }
                player.wait_for_all();
            });
        }
        if until_input {
            process::await_line(true);
            OVER.store(true, Ordering::Relaxed);
        }
    });
}

/// This program once more, one level down.
fn again(seed: u64, depth: u32) -> Program {
    let path = std::env::current_exe().expect("an own path");
    let path = path
        .into_os_string()
        .into_string()
        .expect("a path in UTF-8");
    let (seed, depth, steps) = (seed.to_string(), depth.to_string(), EXEC_STEPS.to_string());
    let argv = [
        &path,
        "--seed",
        &seed,
        "--depth",
        &depth,
        "--steps",
        &steps,
        "--threads",
        "2",
    ];
    Program::new(&argv)
}

/// A thread's regions and children. Playing allocates nothing once it has begun: a forked child
/// goes on with it, whatever the other threads were doing to the allocator.
struct Player {
    dice: u64,
    cpus: [usize; 2],
    regions: [Option<Region>; REGIONS],
    children: VecDeque<u32>,
}

struct Region {
    map: Map,
    private: bool,
}

impl Player {
    fn new(seed: u64) -> Self {
        let cpus = process::cpus();
        Self {
            dice: seed | 1,
            cpus: [cpus[0], cpus[cpus.len() - 1]],
            regions: Default::default(),
            children: VecDeque::with_capacity(CHILDREN + 1),
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 33) as usize % limit
    }

    /// A step of a process that may have children.
    fn step(&mut self, again: Option<&Program>) {
        match self.below(400) {
            0 | 1 => self.have_child(None),
            2 if again.is_some() => self.have_child(again),
            _ => self.play(),
        }
    }

    fn have_child(&mut self, program: Option<&Program>) {
        if self.children.len() == CHILDREN {
            self.wait_for_oldest();
        }
        let seed = self.below(usize::MAX) as u64;
        let child = process::fork(|| {
            self.dice = seed | 1;
            (0..CHILD_STEPS).for_each(|_| self.play());
            program.map_or(0, Program::exec)
        });
        self.children.push_back(child);
    }

    fn wait_for_oldest(&mut self) {
        if let Some(child) = self.children.pop_front() {
            assert_eq!(process::wait(child).code, 0, "a child failed");
        }
    }

    fn wait_for_all(&mut self) {
        while !self.children.is_empty() {
            self.wait_for_oldest();
        }
    }

    /// Something with memory.
    fn play(&mut self) {
        let (action, number) = (self.below(16), self.below(REGIONS));
        let (pages, part) = (1 + self.below(PAGES), self.below(PAGES));
        let shared = self.below(4) == 0;
        let Some(region) = &mut self.regions[number] else {
            let (map, private) = match action {
                0 => (Map::huge(1), true),
                1 => (Map::new(Kind::Populated, pages), true),
                _ if shared => (Map::new(Kind::Shared, pages), false),
                _ => (Map::new(Kind::Private, pages), true),
            };
            self.regions[number] = Some(Region { map, private });
            return;
        };
        let (map, private) = (&mut region.map, region.private);
        let first = part % map.pages();
        let count = pages.min(map.pages() - first);
        match action {
            0..=6 => (first..first + count).for_each(|page| map.write(page)),
            7 => (first..first + count).for_each(|page| {
                map.read(page);
            }),
            8 | 9 => map.drop_pages(first, count),
            10 if private => map.free_pages(first, count),
            11 if private => map.resize(pages),
            12 if private => map.relocate(),
            13 => process::move_to(self.cpus[part % 2]),
            _ => self.regions[number] = None,
        }
    }
}
