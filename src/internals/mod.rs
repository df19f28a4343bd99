//! Entry points for fuzz targets, the replay of their corpora, and benches of the inside. They come with the feature
//! `internals`, are no part of the API and may change at any time.

pub mod bench;
pub(crate) mod fuzz;
mod ws_echo;

pub use ws_echo::ws_echo;

/// Checks one input of a fuzz target, which is named as its folder in `fuzz/corpus`.
///
/// # Panics
/// If the input is not handled as the target's slow reference handles it, or if there is no such target.
pub fn fuzz(target: &str, input: &[u8]) {
    fuzz::check(target, input);
}
