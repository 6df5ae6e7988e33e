//! The page of suspicious labels: pictures with the areas in doubt, and what to do.

use super::{Judged, Labelled, action_name, kind_words, reason_words};
use askama::Template;
use marquetry_aggregator::label_quality_picture;
use marquetry_evaluation::Wrong;
use marquetry_geometry::Size;
use marquetry_label_quality::{Action, Component, Doubt};
use marquetry_page::human;
use marquetry_spec::LABEL_QUALITY;
use std::io::{Error, Result};

/// What stands side by side in a picture.
const PANELS: [&str; 4] = ["image", "label", "prediction", "where they differ"];

#[derive(Template)]
#[template(path = "label_quality.html", whitespace = "minimize")]
struct Page<'a> {
    title: &'a str,
    few: Option<&'a str>,
    labels: u64,
    suspicious: u64,
    useless: u64,
    doubts: u64,
    shown: u64,
    cards: Vec<Card<'a>>,
    panels: [&'static str; 4],
    /// Classes, and what is wrong, with their colours.
    keys: [Vec<(&'a str, String)>; 2],
}

/// One image.
struct Card<'a> {
    rank: u64,
    id: &'a str,
    label: &'a str,
    picture: String,
    /// Rows and columns of the picture's four panels together, px of the image.
    size: (u64, u64),
    /// Left, top, width and height in the picture, and how sure, of each area in each panel.
    boxes: Vec<(u64, i64, u32, u32, &'static str)>,
    quality: String,
    action: &'static str,
    reason: String,
    mean_iou: String,
    doubts: Vec<(String, String)>,
}

/// The page, of as many images as are to be shown.
pub(super) fn page(title: &str, of: &Labelled, judged: &[Judged<'_>], few: Option<&str>) -> Result<Vec<u8>> {
    let count =
        |action| judged.iter().filter(|image| image.quality.suggestion.action == action).count() as u64;
    let cards: Vec<Card<'_>> =
        judged.iter().take(of.shown).enumerate().map(|(at, image)| card(at, image, &of.classes)).collect();
    let likely =
        |image: &Judged<'_>| image.quality.doubts.iter().filter(|doubt| doubt.probability >= 0.5).count();
    let page = Page {
        title,
        few,
        labels: judged.len() as u64,
        suspicious: count(Action::Relabel),
        useless: count(Action::Delete),
        doubts: judged.iter().map(|image| likely(image) as u64).sum(),
        shown: cards.len() as u64,
        cards,
        panels: PANELS,
        keys: [
            of.classes.iter().map(String::as_str).zip(of.colours.iter().copied().map(rgb)).collect(),
            Wrong::ALL.iter().map(|wrong| (wrong.name(), rgb(wrong.colour()))).collect(),
        ],
    };
    page.render().map(String::into_bytes).map_err(Error::other)
}

fn rgb([red, green, blue]: [u8; 3]) -> String {
    format!("rgb({red},{green},{blue})")
}

fn card<'a>(at: usize, image: &Judged<'a>, classes: &[String]) -> Card<'a> {
    let inside = format!("{LABEL_QUALITY}/");
    let picture = label_quality_picture(image.id);
    let quality = &image.quality;
    let Size { height, width } = image.size;
    Card {
        rank: at as u64 + 1,
        id: image.id,
        label: image.label,
        picture: picture.strip_prefix(&inside).unwrap_or(&picture).to_owned(),
        size: (u64::from(height), u64::from(width) * PANELS.len() as u64),
        boxes: quality.doubts.iter().flat_map(|doubt| boxes(doubt, width)).collect(),
        quality: quality.quality.map_or(human::DASH.to_owned(), human::probability),
        action: action_name(quality.suggestion.action),
        reason: reason_words(&quality.suggestion.reason),
        mean_iou: quality.mean_iou.map_or(human::DASH.to_owned(), |mean| format!("{mean:.3}")),
        doubts: quality.doubts.iter().map(|doubt| in_words(doubt, classes)).collect(),
    }
}

/// An area's box in each panel.
fn boxes(doubt: &Doubt, width: u32) -> impl Iterator<Item = (u64, i64, u32, u32, &'static str)> {
    let bounds = doubt.component.bounds;
    let sure = if doubt.probability >= 0.5 { "likely" } else { "perhaps" };
    (0..PANELS.len() as u64).map(move |panel| {
        let left = panel * u64::from(width) + bounds.left.unsigned_abs();
        (left, bounds.top, bounds.size.width, bounds.size.height, sure)
    })
}

/// How sure, and what is wrong.
fn in_words(doubt: &Doubt, classes: &[String]) -> (String, String) {
    let name = |class: u16| classes.get(usize::from(class)).map_or("?", String::as_str);
    let Component { kind, given, suggested, area_px, bounds, .. } = doubt.component;
    let words = format!(
        "{} px {}: labelled {}, looks like {}; rows {} to {}, columns {} to {}",
        human::count(area_px),
        kind_words(kind),
        name(given),
        name(suggested),
        bounds.top,
        bounds.top + i64::from(bounds.size.height) - 1,
        bounds.left,
        bounds.left + i64::from(bounds.size.width) - 1
    );
    (human::probability(doubt.probability), words)
}
