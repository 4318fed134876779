//! What only some systems have, as extension traits: as in `std::os`.

pub mod unix;
