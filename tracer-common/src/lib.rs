//! What crosses between the kernel side and the user side, spelt once.
//!
//! Integers only: any bit pattern is a valid value, and padding is a compile error
//! ([`wire_safe`]), so bytes from a ring, a map or a file may be read as these types.
//! Amounts of memory are in pages here; user space turns them into bytes.
#![no_std]

pub mod alone;
pub mod latency;
pub mod layout;
pub mod ledger;
pub mod limits;
pub mod record;

/// Marks a type whose every bit pattern is a value and which has no padding.
///
/// # Safety
///
/// `#[repr(C)]`, made of integers (or arrays and structs of such) only, no padding.
/// Implement it through [`wire_safe!`], which checks the last part.
pub unsafe trait WireSafe: Copy + 'static {}

/// A number that changes with a text; blanks do not count.
pub const fn fingerprint(text: &str) -> u64 {
    // FNV-1a, 64 bits.
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let (bytes, mut at) = (text.as_bytes(), 0);
    while at < bytes.len() {
        if !bytes[at].is_ascii_whitespace() {
            hash = (hash ^ bytes[at] as u64).wrapping_mul(0x100_0000_01b3);
        }
        at += 1;
    }
    hash
}

/// Implements [`WireSafe`] for the structs of a module, checking that the named fields fill them
/// completely, and gives the module a `LAYOUT` that changes with them.
#[macro_export]
macro_rules! wire_safe {
    ($($name:ident { $($field:ident: $ty:ty),+ $(,)? })+) => {
        /// Changes with the layout of any value in this module.
        pub const LAYOUT: u64 =
            $crate::fingerprint(stringify!($($name { $($field: $ty),+ })+));
        $(
        const _: () = assert!(
            core::mem::size_of::<$name>() == 0 $(+ core::mem::size_of::<$ty>())+,
            concat!(stringify!($name), " has padding")
        );
        const _: fn(&$name) = |value| {
            $( let _: &$ty = &value.$field; )+
        };
        // SAFETY: the fields are integers by the macro's contract; the assertion above
        // proves that nothing lies between them.
        unsafe impl $crate::WireSafe for $name {}
    )+};
}
