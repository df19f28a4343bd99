//! Where the clocks of unit tests begin.

use std::time::Instant;

/// An arbitrary outset: tests add to it what they need.
#[allow(
    clippy::disallowed_methods,
    reason = "there is no other way to have an instant"
)]
pub(crate) fn outset() -> Instant {
    Instant::now()
}
