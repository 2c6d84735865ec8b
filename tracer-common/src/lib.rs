//! What crosses between the kernel side and the user side, spelt once.
//!
//! Integers only: any bit pattern is a valid value, and padding is a compile error
//! ([`wire_safe`]), so bytes from a ring, a map or a file may be read as these types.
//! Amounts of memory are in pages here; user space turns them into bytes.
#![no_std]

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

/// Implements [`WireSafe`] for structs, checking that the named fields fill them completely.
#[macro_export]
macro_rules! wire_safe {
    ($($name:ident { $($field:ident: $ty:ty),+ $(,)? })+) => {$(
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
