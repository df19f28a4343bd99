//! Counts the code points that are looked at one by one, so that tests can tell that their number is in proportion to
//! what was read. Outside of tests it is nothing.

#[cfg(test)]
thread_local! {
    static TAKEN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// One more.
#[inline]
pub(super) fn count() {
    #[cfg(test)]
    TAKEN.with(|taken| taken.set(taken.get() + 1));
}

/// How many there were in this thread since this was asked last.
#[cfg(test)]
pub(super) fn take() -> usize {
    TAKEN.with(std::cell::Cell::take)
}
