//! The only reader of kernel memory, by the layout that user space took from BTF.
//!
//! Every offset is a frozen constant, so loads from pointers that the verifier knows are direct;
//! a bad address reads as zero (the kernel's exception table) and harms nothing.

use aya_ebpf::{
    Global,
    helpers::{
        bpf_get_current_pid_tgid, bpf_get_current_task_btf, bpf_loop,
        generated::{
            bpf_probe_read_kernel, bpf_probe_read_user, bpf_probe_read_user_str, bpf_task_pt_regs,
        },
    },
};
use core::{mem::MaybeUninit, ptr::read_volatile};
use tracer_common::{ledger::Split, limits::COMM_BYTES};

use crate::maps::{FOUND, PER_CPU_OFFSETS};

macro_rules! define_offsets {
    ($($symbol:ident = $structure:literal $field:literal;)+) => {$(
        #[unsafe(no_mangle)]
        pub static $symbol: Global<u64> = Global::new(tracer_common::layout::ABSENT);
    )+};
}
tracer_common::offsets!(define_offsets);

macro_rules! define_globals {
    ($($symbol:ident)+) => {$(
        #[unsafe(no_mangle)]
        pub static $symbol: Global<u64> = Global::new(0);
    )+};
}
define_globals! {
    FILE_COUNT ANON_COUNT SWAP_COUNT SHMEM_COUNT FILE_LOCK ANON_LOCK SHMEM_LOCK SLOTS
    COUNTER_BYTES UPID_BYTES CPUS MEMORY_CONTROLLER
}

/// Counters of a space: file, anonymous, swap, shared (`enum` in mm_types_task.h).
const MEMBERS: u64 = 4;

/// Tries of a scan after the first before it is given up. A counter is locked for some tens of
/// nanoseconds, and its total moves once in a batch of pages; only a virtual CPU that stops there
/// lasts longer.
const SCAN_RETRIES: u32 = 64;

/// Reads a field at a known offset of a pointer that the verifier tracks.
///
/// # Safety
///
/// `base` comes from a program argument, or from such a pointer's field, so that the load is
/// checked by the verifier and caught by the exception table.
#[inline(always)]
unsafe fn field<T: Copy>(base: *const u8, offset: &Global<u64>) -> T {
    // SAFETY: by the caller; volatile, because the kernel writes this memory concurrently.
    unsafe { read_volatile(base.add(offset.load() as usize).cast()) }
}

/// Reads a field at a known offset of any pointer, by the probing helper: slower than a direct
/// load, and for what is rarely read. (For each direct load from a task the verifier searches the
/// kernel's types by name, a millisecond a time.)
#[inline(always)]
fn peek<T: Copy>(base: *const u8, offset: &Global<u64>) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper may be given any address, and clears the value when it fails; only
    // integers and pointers are read, for which zero is a value.
    unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            base.wrapping_add(offset.load() as usize).cast(),
        );
        value.assume_init()
    }
}

/// An address space: `struct mm_struct *`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Mm(*const u8);

impl Mm {
    /// Takes a program's argument or a field of one.
    #[inline(always)]
    pub fn new(pointer: *const u8) -> Self {
        Self(pointer)
    }

    /// Its address: the key of its ledger.
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0 as u64
    }

    /// The lower half of its address as a plain number. The verifier forbids arithmetic on
    /// pointers and takes a 32-bit move for what it is: a way to lose one.
    #[inline(always)]
    pub fn low_half(self) -> u32 {
        let number: u32;
        // SAFETY: a move between registers.
        unsafe {
            core::arch::asm!(
                "{number} = {pointer}",
                number = out(wreg) number,
                pointer = in(wreg) self.0 as usize as u32,
                options(pure, nomem, nostack),
            );
        }
        number
    }

    #[inline(always)]
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Resident pages by the counters' plain counts: what older readers of the kernel report.
    /// Off by less than a batch for each CPU and member (`percpu_counter_add_batch`).
    #[inline(always)]
    pub fn plain_rss(self) -> i64 {
        // SAFETY: `self.0` is a pointer that the verifier knows as `mm_struct`.
        unsafe {
            field::<i64>(self.0, &FILE_COUNT)
                + field::<i64>(self.0, &ANON_COUNT)
                + field::<i64>(self.0, &SHMEM_COUNT)
        }
    }

    /// The counters of a CPU lie side by side (`percpu_counter_init_many`), as the scan needs.
    #[inline(always)]
    pub fn slots_adjoin(self) -> bool {
        let mut member = 1;
        while member < MEMBERS {
            let at = (SLOTS.load() + member * COUNTER_BYTES.load()) as usize;
            // SAFETY: as in `plain_rss`.
            let (first, slots): (u64, u64) =
                unsafe { (field(self.0, &SLOTS), read_volatile(self.0.add(at).cast())) };
            if slots != first + member * size_of::<i32>() as u64 {
                return false;
            }
            member += 1;
        }
        true
    }

    /// The plain counts.
    #[cfg(mutant = "o1-sum")]
    #[inline(always)]
    pub fn counts(self) -> Split {
        // SAFETY: as in `plain_rss`.
        unsafe {
            Split {
                file: field(self.0, &FILE_COUNT),
                anon: field(self.0, &ANON_COUNT),
                swap: field(self.0, &SWAP_COUNT),
                shmem: field(self.0, &SHMEM_COUNT),
            }
        }
    }

    /// The running CPU's slots, by member.
    #[inline(always)]
    pub fn own_slots(self) -> [i32; MEMBERS as usize] {
        let offset = PER_CPU_OFFSETS
            .get(crate::emit::cpu())
            .map_or(0, |offset| *offset);
        // SAFETY: as in `plain_rss`.
        let slots: u64 = unsafe { field(self.0, &SLOTS) };
        read_slots(slots.wrapping_add(offset)).1
    }

    /// What the running CPU holds of the resident counters.
    #[inline(always)]
    pub fn own_rss(self) -> i64 {
        let [file, anon, _, shmem] = self.own_slots();
        i64::from(file) + i64::from(anon) + i64::from(shmem)
    }

    /// Reads the true totals: plain counts and every CPU's slot, accepted only if no counter was locked
    /// and no plain count moved meanwhile, so that no slot was seen on both sides of a move.
    #[inline(always)]
    pub fn scan(self, to: &mut Split) -> bool {
        #[cfg(mutant = "o1-sum")]
        return crate::mutants::sum_of_last_seen(self, to);
        if scan_once(self, to) == 0 {
            return true;
        }
        let mut retry = Retry {
            mm: self,
            to,
            disturbed: 1,
        };
        // SAFETY: the function has the form that the helper asks for, and gets what it expects.
        unsafe {
            bpf_loop(
                SCAN_RETRIES,
                retry_scan as *mut _,
                (&raw mut retry).cast(),
                0,
            )
        };
        retry.disturbed == 0
    }

    /// The most that RSS can be now, even if a CPU stands still inside a counter: then its slot may
    /// be in the total already, so that a negative one would count twice.
    #[inline(always)]
    pub fn at_most(self) -> i64 {
        at_most(self)
    }

    /// `hiwater_rss`, pages: the kernel's own, approximate high-water mark.
    #[inline(always)]
    pub fn hiwater_rss(self) -> u64 {
        // SAFETY: as in `plain_rss`.
        unsafe { field(self.0, &MM_HIWATER_RSS) }
    }

    /// `total_vm`, pages.
    #[inline(always)]
    pub fn total_vm(self) -> u64 {
        // SAFETY: as in `plain_rss`.
        unsafe { field(self.0, &MM_TOTAL_VM) }
    }

    /// `brk`, the end of the heap.
    #[inline(always)]
    pub fn brk(self) -> u64 {
        // SAFETY: as in `plain_rss`.
        unsafe { field(self.0, &MM_BRK) }
    }

    /// Where functions that are probed at their return come back to (`get_trampoline_vaddr`,
    /// uprobes.c); 0 if none has been yet.
    #[inline(always)]
    pub fn return_trampoline(self) -> u64 {
        let area: *const u8 = peek(self.0, &MM_XOL_AREA);
        if area.is_null() {
            return 0;
        }
        peek(area, &XOL_AREA_VADDR)
    }

    /// Bytes of page tables.
    #[inline(always)]
    pub fn pagetable_bytes(self) -> u64 {
        // SAFETY: as in `plain_rss`.
        unsafe { field(self.0, &MM_PGTABLES_BYTES) }
    }

    /// Pages of hugetlb; 0 on kernels built without it.
    #[inline(always)]
    pub fn hugetlb(self) -> u64 {
        if MM_HUGETLB_USAGE.load() == tracer_common::layout::ABSENT {
            return 0;
        }
        // SAFETY: as in `plain_rss`.
        unsafe { field(self.0, &MM_HUGETLB_USAGE) }
    }

    /// Copies the command line of the running process, arguments separated by zeros, to `to`.
    /// Gives the bytes written and the whole length; 0 written if it is not resident.
    #[inline(always)]
    pub fn command_line<const N: usize>(self, to: *mut [u8; N]) -> (u32, u64) {
        // SAFETY: as in `plain_rss`.
        let (start, end): (u64, u64) =
            unsafe { (field(self.0, &MM_ARG_START), field(self.0, &MM_ARG_END)) };
        let whole = end.wrapping_sub(start);
        let length = if whole > N as u64 { N as u64 } else { whole };
        // SAFETY: `length` is at most N; the helper clears the destination when it fails.
        let failed = unsafe { bpf_probe_read_user(to.cast(), length as u32, start as *const _) };
        (if failed == 0 { length as u32 } else { 0 }, whole)
    }
}

/// Nothing, in a way that the compiler cannot see through: of a constant it would make a call of
/// `memset`, which on BPF is a loop over bytes.
#[inline(always)]
pub fn nothing() -> Split {
    let zero: i64;
    // SAFETY: sets a register.
    unsafe { core::arch::asm!("{zero} = 0", zero = out(reg) zero, options(pure, nomem, nostack)) };
    Split {
        file: zero,
        anon: zero,
        shmem: zero,
        swap: zero,
    }
}

/// A space whose scan was not accepted at once.
#[repr(C)]
struct Retry {
    mm: Mm,
    to: *mut Split,
    disturbed: u64,
}

/// One more try, by the kernel's loop helper: the verifier looks at it once and not at each turn.
#[inline(never)]
extern "C" fn retry_scan(_turn: u64, retry: *mut Retry) -> u64 {
    // SAFETY: `Mm::scan` hands over its own places.
    unsafe {
        (*retry).disturbed = scan_once((*retry).mm, (*retry).to);
        u64::from((*retry).disturbed == 0)
    }
}

/// A CPU's slots of the four counters, and not 0 if they could not be read.
#[inline(always)]
fn read_slots(address: u64) -> (u64, [i32; MEMBERS as usize]) {
    let mut values = MaybeUninit::<[i32; MEMBERS as usize]>::uninit();
    // SAFETY: the helper may be given any address, and fills its destination even when it fails.
    unsafe {
        let failed = bpf_probe_read_kernel(
            values.as_mut_ptr().cast(),
            size_of_val(&values) as u32,
            address as *const _,
        );
        (failed as u64, values.assume_init())
    }
}

/// One try of [`Mm::scan`]: 0 if it is accepted. One function of the object, not a copy at each of
/// its callers, and without branches, each of which would double the verifier's paths.
#[inline(never)]
fn scan_once(mm: Mm, to: *mut Split) -> u64 {
    // SAFETY: `to` is the caller's; else as in `plain_rss`; probe reads may be given any address.
    unsafe {
        let file: i64 = field(mm.0, &FILE_COUNT);
        let anon: i64 = field(mm.0, &ANON_COUNT);
        let shmem: i64 = field(mm.0, &SHMEM_COUNT);
        let mut disturbed = locks(mm);
        let mut sum = Split {
            file,
            anon,
            shmem,
            swap: field(mm.0, &SWAP_COUNT),
        };
        let slots: u64 = field(mm.0, &SLOTS);
        let mut cpu = 0;
        while u64::from(cpu) < CPUS.load() {
            let Some(offset) = PER_CPU_OFFSETS.get(cpu) else {
                return 1;
            };
            let (failed, [file, anon, swap, shmem]) = read_slots(slots.wrapping_add(*offset));
            disturbed |= failed;
            sum.file += i64::from(file);
            sum.anon += i64::from(anon);
            sum.swap += i64::from(swap);
            sum.shmem += i64::from(shmem);
            cpu += 1;
        }
        *to = sum;
        let moved = (file ^ field::<i64>(mm.0, &FILE_COUNT))
            | (anon ^ field::<i64>(mm.0, &ANON_COUNT))
            | (shmem ^ field::<i64>(mm.0, &SHMEM_COUNT));
        disturbed | moved as u64 | locks(mm)
    }
}

/// [`Mm::at_most`], as one function of the object.
#[inline(never)]
fn at_most(mm: Mm) -> i64 {
    let mut sum = nothing();
    let mut lowest = nothing();
    // SAFETY: as in `scan_once`.
    unsafe {
        let before = mm.plain_rss();
        let slots: u64 = field(mm.0, &SLOTS);
        let mut cpu = 0;
        while u64::from(cpu) < CPUS.load() {
            let Some(offset) = PER_CPU_OFFSETS.get(cpu) else {
                return i64::MAX;
            };
            let (_, [file, anon, _, shmem]) = read_slots(slots.wrapping_add(*offset));
            sum.file += i64::from(file) + i64::from(anon) + i64::from(shmem);
            lowest.file = lowest.file.min(i64::from(file));
            lowest.anon = lowest.anon.min(i64::from(anon));
            lowest.shmem = lowest.shmem.min(i64::from(shmem));
            cpu += 1;
        }
        before.max(mm.plain_rss()) + sum.file - lowest.rss()
    }
}

/// Lock words of the counters that make up RSS: 0 if none is held.
#[inline(always)]
fn locks(mm: Mm) -> u64 {
    // SAFETY: as in `plain_rss`.
    unsafe {
        let [file, anon, shmem]: [u32; 3] = [
            field(mm.0, &FILE_LOCK),
            field(mm.0, &ANON_LOCK),
            field(mm.0, &SHMEM_LOCK),
        ];
        u64::from(file | anon | shmem)
    }
}

/// A thread: `struct task_struct *`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Thread(*const u8);

impl Thread {
    /// Takes a program's argument or a field of one.
    #[inline(always)]
    pub fn new(pointer: *const u8) -> Self {
        Self(pointer)
    }

    /// The running one.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: the helper has no preconditions.
        Self(unsafe { bpf_get_current_task_btf() }.cast())
    }

    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0 as u64
    }

    /// Its address space; null for kernel threads and once it has left it. Only of a thread that
    /// the verifier knows: the running one, or a program's argument.
    #[inline(always)]
    pub fn mm(self) -> Mm {
        // SAFETY: `self.0` is a pointer that the verifier knows as `task_struct`.
        Mm(unsafe { field(self.0, &TASK_MM) })
    }

    /// Address of its address space, to compare: no pointer that could be followed.
    #[inline(always)]
    pub fn mm_address(self) -> u64 {
        peek(self.0, &TASK_MM)
    }

    /// Thread group id in the initial PID namespace.
    #[inline(always)]
    pub fn tgid(self) -> u32 {
        peek(self.0, &TASK_TGID)
    }

    #[inline(always)]
    pub fn group_leader(self) -> Self {
        Self(peek(self.0, &TASK_GROUP_LEADER))
    }

    #[inline(always)]
    pub fn real_parent(self) -> Self {
        Self(peek(self.0, &TASK_REAL_PARENT))
    }

    /// Process id as the tracer's PID namespace has it; 0 if it does not show there.
    #[inline(always)]
    pub fn visible_pid(self) -> u32 {
        self.group_leader().visible_tid()
    }

    /// Thread id, likewise.
    #[inline(always)]
    pub fn visible_tid(self) -> u32 {
        let Some(found) = FOUND.get(0) else { return 0 };
        let pid: *const u8 = peek(self.0, &TASK_THREAD_PID);
        let level: u32 = peek(pid, &PID_LEVEL);
        let upid = upid(pid, found.pid_level);
        let namespace: u64 = peek(upid, &UPID_NS);
        if u64::from(level) < found.pid_level || namespace != found.pid_namespace {
            return 0;
        }
        peek(upid, &UPID_NR)
    }

    /// Depth and address of its own PID namespace.
    #[inline(always)]
    pub fn pid_namespace(self) -> (u64, u64) {
        let pid: *const u8 = peek(self.0, &TASK_THREAD_PID);
        let level = u64::from(peek::<u32>(pid, &PID_LEVEL));
        (level, peek(upid(pid, level), &UPID_NS))
    }

    /// Its process is in the cgroup that is the target, or below it: in the hierarchy of the memory
    /// controller.
    #[inline(always)]
    pub fn is_in_cgroup(self) -> bool {
        let Some(found) = FOUND.get(0) else {
            return false;
        };
        if found.cgroup_id == 0 {
            return false;
        }
        let set: *const u8 = peek(self.group_leader().0, &TASK_CGROUPS);
        let cgroup: *const u8 = if MEMORY_CONTROLLER.load() == tracer_common::layout::ABSENT {
            peek(set, &CSS_SET_DFL_CGRP)
        } else {
            let state = (MEMORY_CONTROLLER.load() * size_of::<u64>() as u64) as usize;
            let state: *const u8 = peek(set.wrapping_add(state), &CSS_SET_SUBSYS);
            peek(state, &CSS_CGROUP)
        };
        let level: u32 = peek(cgroup, &CGROUP_LEVEL);
        if u64::from(level) < found.cgroup_level {
            return false;
        }
        let above = (found.cgroup_level * size_of::<u64>() as u64) as usize;
        let ancestor: *const u8 = peek(cgroup.wrapping_add(above), &CGROUP_ANCESTORS);
        let node: *const u8 = peek(ancestor, &CGROUP_KN);
        peek::<u64>(node, &KN_ID) == found.cgroup_id
    }

    /// Copies `task->comm` to `to`.
    #[inline(always)]
    pub fn comm(self, to: *mut [u8; COMM_BYTES]) {
        let from = self.0.wrapping_add(TASK_COMM.load() as usize);
        // SAFETY: `to` has room; the helper clears it when it fails.
        unsafe { bpf_probe_read_kernel(to.cast(), COMM_BYTES as u32, from.cast()) };
    }

    /// Real user id.
    #[inline(always)]
    pub fn uid(self) -> u32 {
        peek(peek(self.0, &TASK_CRED), &CRED_UID)
    }

    /// `start_boottime`, nanoseconds.
    #[inline(always)]
    pub fn start_boottime_ns(self) -> u64 {
        peek(self.0, &TASK_START_BOOTTIME)
    }

    #[inline(always)]
    fn signal(self) -> *const u8 {
        peek(self.0, &TASK_SIGNAL)
    }

    /// Threads of its process that have not begun to exit.
    #[inline(always)]
    pub fn live_threads(self) -> u32 {
        // `live` is an `atomic_t`.
        peek(self.signal(), &SIGNAL_LIVE)
    }

    /// Minor and major faults of threads already released, and of the leader; of `self` too if it
    /// is another. That is every thread of a process whose others are gone.
    #[inline(always)]
    pub fn process_faults(self) -> (u64, u64) {
        let leader = self.group_leader();
        let (minor, major) = self.released_faults();
        let (leaders_minor, leaders_major) = leader.faults();
        let (own_minor, own_major) = if leader.address() == self.address() {
            (0, 0)
        } else {
            self.faults()
        };
        (
            minor + leaders_minor + own_minor,
            major + leaders_major + own_major,
        )
    }

    /// Its own minor and major faults.
    #[inline(always)]
    pub fn faults(self) -> (u64, u64) {
        (peek(self.0, &TASK_MIN_FLT), peek(self.0, &TASK_MAJ_FLT))
    }

    /// Faults of threads already released (`__exit_signal`): of a freed process, all of them.
    #[inline(always)]
    pub fn released_faults(self) -> (u64, u64) {
        let signal = self.signal();
        (peek(signal, &SIGNAL_MIN_FLT), peek(signal, &SIGNAL_MAJ_FLT))
    }

    /// Highest `ru_maxrss` of the process, and of its waited-for descendants, pages.
    #[inline(always)]
    pub fn maxrss(self) -> (u64, u64) {
        let signal = self.signal();
        (peek(signal, &SIGNAL_MAXRSS), peek(signal, &SIGNAL_CMAXRSS))
    }

    /// Registers with which user space entered the kernel (`task_pt_regs`).
    #[inline(always)]
    pub fn registers(self) -> Registers {
        // SAFETY: the running thread's pointer, as the helper asks for.
        Registers(unsafe { bpf_task_pt_regs(self.0 as *mut _) } as *const u8)
    }

    /// Wait status of its process, as `wait_task_zombie` composes it.
    #[inline(always)]
    pub fn wait_status(self) -> u32 {
        const SIGNAL_GROUP_EXIT: u32 = 4;
        let signal = self.signal();
        if peek::<u32>(signal, &SIGNAL_FLAGS) & SIGNAL_GROUP_EXIT != 0 {
            peek(signal, &SIGNAL_GROUP_EXIT_CODE)
        } else {
            peek(self.group_leader().0, &TASK_EXIT_CODE)
        }
    }
}

/// Saved registers of a system call: `struct pt_regs *`.
#[derive(Clone, Copy)]
pub struct Registers(*const u8);

impl Registers {
    /// Takes a program's argument.
    #[inline(always)]
    pub fn new(pointer: *const u8) -> Self {
        Self(pointer)
    }

    /// The first arguments of the call.
    #[inline(always)]
    pub fn first_five(self) -> [u64; 5] {
        [
            peek(self.0, &REGS_FIRST),
            self.second(),
            self.third(),
            self.fourth(),
            peek(self.0, &REGS_FIFTH),
        ]
    }

    /// All arguments that a call can have.
    #[inline(always)]
    pub fn arguments(self) -> [u64; 6] {
        let [first, second, third, fourth, fifth] = self.first_five();
        [
            first,
            second,
            third,
            fourth,
            fifth,
            peek(self.0, &REGS_SIXTH),
        ]
    }

    /// Number of the call; -1 if it is none (a fault).
    #[inline(always)]
    pub fn call(self) -> i64 {
        peek(self.0, &REGS_CALL)
    }

    /// The calling code is 64-bit: numbers and registers are those of its ABI.
    #[inline(always)]
    pub fn is_64_bit(self) -> bool {
        const USER_CS: u64 = 0x33;
        peek::<u64>(self.0, &REGS_CS) & 0xffff == USER_CS
    }

    #[inline(always)]
    pub fn second(self) -> u64 {
        peek(self.0, &REGS_SECOND)
    }

    #[inline(always)]
    pub fn third(self) -> u64 {
        peek(self.0, &REGS_THIRD)
    }

    #[inline(always)]
    pub fn fourth(self) -> u64 {
        peek(self.0, &REGS_FOURTH)
    }
}

/// A process's number and namespace at a depth: `pid->numbers[level]`.
#[inline(always)]
fn upid(pid: *const u8, level: u64) -> *const u8 {
    pid.wrapping_add((PID_NUMBERS.load() + level * UPID_BYTES.load()) as usize)
}

/// Address space that an exec is about to enter: `bprm->mm`.
#[inline(always)]
pub fn bprm_mm(bprm: *const u8) -> Mm {
    // SAFETY: `bprm` is a program argument of type `struct linux_binprm *`.
    Mm(unsafe { field(bprm, &BPRM_MM) })
}

/// Copies `length` bytes of the running process's memory to `to`; false if they are not resident.
#[inline(always)]
pub fn read_user<const N: usize>(to: *mut [u8; N], length: u64, from: u64) -> bool {
    let length = if length > N as u64 { N as u64 } else { length };
    // SAFETY: `length` is at most N; the helper clears the destination when it fails.
    unsafe { bpf_probe_read_user(to.cast(), length as u32, from as *const _) == 0 }
}

/// Copies text of the running process's memory up to its zero, or as much as there is room for.
/// Gives the bytes without the zero; `None` if they are not resident.
#[inline(always)]
pub fn read_user_text<const N: usize>(to: *mut [u8; N], from: u64) -> Option<u32> {
    // SAFETY: there is room for N bytes.
    let read = unsafe { bpf_probe_read_user_str(to.cast(), N as u32, from as *const _) };
    if read > 0 {
        Some(read as u32 - 1)
    } else {
        None
    }
}

/// Reads a word of the running process's memory; 0 if it is not resident.
#[inline(always)]
pub fn read_user_word(from: u64) -> u64 {
    let mut word = MaybeUninit::<u64>::uninit();
    // SAFETY: the helper clears the value when it fails.
    unsafe {
        bpf_probe_read_user(
            word.as_mut_ptr().cast(),
            size_of::<u64>() as u32,
            from as *const _,
        );
        word.assume_init()
    }
}

/// Thread group id of the running process in the initial PID namespace.
#[inline(always)]
pub fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}
