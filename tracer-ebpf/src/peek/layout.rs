//! Where things are: offsets and sizes that user space takes from BTF and freezes.

use aya_ebpf::Global;

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
    COUNTER_BYTES UPID_BYTES CPUS MEMORY_CONTROLLER TWO_WORDS SPACE_TYPE
    COUNTS_BY_THREAD THREAD_CACHE
    SYS_MMAP SYS_MUNMAP SYS_MREMAP SYS_BRK SYS_MPROTECT SYS_MADVISE SYS_PRCTL SYS_FACCESSAT2
    MODE_MASK MODE_64_BIT IN_ORDER
}
