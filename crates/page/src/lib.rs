//! What all pages share: how they look, and how they write numbers.
//!
//! This crate must not know: what a page is about.

pub mod human;

/// The style sheet of every page; it needs nothing beside it.
pub const STYLE: &str = include_str!("style.css");

/// The mark beside a page's title, as SVG.
pub const MARK: &str = r##"<svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true"><path fill="#7a4a24" d="M16 1 31 16H16z"/><path fill="#b98447" d="M31 16 16 31V16z"/><path fill="#e0be86" d="M16 31 1 16h15z"/><path fill="#9c6530" d="M1 16 16 1v15z"/><path fill="#f3e3c3" d="m16 10 6 6-6 6-6-6z"/></svg>"##;
