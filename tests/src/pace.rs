//! How fast the machine is that the tests run on. Knows one variable of the environment.

use std::env;

/// Set by whoever runs the tests on emulated CPUs: how many times longer everything takes there.
const SLOWNESS: &str = "MEMTRACE_TEST_SLOWNESS";

/// As much time as a machine that is not emulated needs for what it does in `ns`.
pub fn paced(ns: u64) -> u64 {
    let slowness = env::var(SLOWNESS).map_or(1, |times| {
        times
            .parse()
            .unwrap_or_else(|error| panic!("{SLOWNESS}={times}: {error}"))
    });
    ns * slowness
}
