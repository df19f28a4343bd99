//! The heap as dhat sees it, where it is built in.

#[cfg(feature = "dhat-heap")]
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Writes `dhat-heap.json` when it is dropped, if dhat is built in.
pub(crate) struct Profile {
    #[cfg(feature = "dhat-heap")]
    _profiler: dhat::Profiler,
}

impl Profile {
    pub(crate) fn begin() -> Self {
        Self {
            #[cfg(feature = "dhat-heap")]
            _profiler: dhat::Profiler::new_heap(),
        }
    }
}

/// The bytes of this process's heap that are in use; `None` where dhat is not built in. There must be a [`Profile`].
#[allow(
    clippy::unnecessary_wraps,
    reason = "with dhat there is always a number"
)]
pub(crate) fn live_bytes() -> Option<u64> {
    #[cfg(feature = "dhat-heap")]
    return Some(dhat::HeapStats::get().curr_bytes as u64);
    #[cfg(not(feature = "dhat-heap"))]
    None
}
