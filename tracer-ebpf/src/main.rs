//! The kernel side: programs that keep exact ledgers of resident memory in maps and tell the
//! user side what happened through rings.
//!
//! `hooks` are the programs, one file per subject; `ledger` keeps totals and peaks; `emit` writes
//! records; `peek` is the only reader of kernel memory; `maps` lists every map.
#![no_std]
#![no_main]
#![feature(core_intrinsics, asm_experimental_arch)]
#![allow(
    internal_features,
    reason = "BPF atomics with a result exist only as intrinsics"
)]

mod emit;
mod hooks;
mod ledger;
mod maps;
#[cfg(any(
    mutant = "o1-sum",
    mutant = "attribute-by-current",
    mutant = "exit-decrements-dropped"
))]
mod mutants;
mod peek;
mod preempt;

/// BPF has no panic: the verifier refuses this loop, so a reachable panic fails at load.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// Some helpers used here are open to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
