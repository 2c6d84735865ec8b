//! Run once before anything is attached: what only code in the kernel can find out.

use aya_ebpf::{
    Global,
    helpers::{bpf_map_lookup_percpu_elem, bpf_probe_read_kernel},
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};

use crate::{
    maps::{FOUND, PER_CPU_OFFSETS, PER_CPU_PROBE, POINTER},
    peek::{BPF_ARRAY_PPTRS, CPUS, Thread, current_tgid},
};

#[unsafe(no_mangle)]
pub static HOLDS_COMMAND: Global<u64> = Global::new(0);

/// Learns the offset of every CPU's per-CPU area and the caller's PID namespace. Run by
/// `BPF_PROG_TEST_RUN` in the tracer's own context, never attached.
///
/// The kernel's table of offsets (`__per_cpu_offset`) is out of reach where data symbols are not
/// exported; but a per-CPU map's element lies at `pptr + offset` for each CPU, and both are known.
#[raw_tracepoint(tracepoint = "sched_switch")]
pub fn probe(_ctx: RawTracePointContext) -> i32 {
    let (Some(found), Some(word)) = (FOUND.get_ptr_mut(0), POINTER.get_ptr_mut(0)) else {
        return 0;
    };
    // SAFETY: live map values, used by this program only while the tracer waits for it; probe
    // reads may be given any address.
    unsafe {
        let map = number(word, (&raw const PER_CPU_PROBE).cast());
        let Ok(percpu) = bpf_probe_read_kernel((map + BPF_ARRAY_PPTRS.load()) as *const u64) else {
            return 0;
        };
        let mut cpus = 0u32;
        while u64::from(cpus) < CPUS.load() {
            let element = bpf_map_lookup_percpu_elem(
                (&raw const PER_CPU_PROBE).cast_mut().cast(),
                (&raw const ZERO).cast(),
                cpus,
            );
            let Some(slot) = PER_CPU_OFFSETS.get_ptr_mut(cpus) else {
                break;
            };
            if element.is_null() {
                break;
            }
            *slot = number(word, element.cast_const().cast()).wrapping_sub(percpu);
            cpus += 1;
        }
        if HOLDS_COMMAND.load() != 0 {
            (*found).holder_parent = u64::from(current_tgid());
        }
        (*found).cpus = u64::from(cpus);
        (*found).odd_counters = u64::from(!Thread::current().mm().slots_adjoin());
        let (level, namespace) = Thread::current().pid_namespace();
        (*found).pid_level = level;
        (*found).pid_namespace = namespace;
    }
    0
}

static ZERO: u32 = 0;

/// A pointer as a number, by way of memory: the verifier forbids arithmetic on some pointers.
#[inline(always)]
unsafe fn number(word: *mut u64, pointer: *const u8) -> u64 {
    // SAFETY: by the caller, `word` is a live map value.
    unsafe {
        core::ptr::write_volatile(word, pointer as u64);
        core::ptr::read_volatile(word)
    }
}
