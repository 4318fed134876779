//! What only some systems have, as extension traits: as in `std::os`.

#[cfg(unix)]
pub mod unix;
#[cfg(windows)]
pub mod windows;
