//! The page of what changed between two nights, and the table beside it.

use crate::difference::{Difference, ImageDifference};
use askama::Template;
use marquetry_page::human;

/// So many images are shown, those of which most changed first; the table has all of them.
pub const PICTURES_MAX: usize = 200;
/// So many that came or went are listed; the table has all of them.
const OTHERS_MAX: usize = 1000;

#[derive(Template)]
#[template(path = "difference.html", whitespace = "minimize")]
struct Page<'a> {
    title: &'a str,
    found: &'a Difference,
    share: String,
    shown: Vec<Shown<'a>>,
    /// Images that changed and are not shown.
    more: u64,
    others: Vec<&'a ImageDifference>,
    more_others: u64,
}

/// An image and its picture.
struct Shown<'a> {
    image: &'a ImageDifference,
    picture: Option<&'a str>,
    share: String,
}

/// The page. `pictures` has, in the order of the list, the files of the pictures of images that changed, as far as there are any.
pub fn page(title: &str, found: &Difference, pictures: &[Option<String>]) -> String {
    let (changed, mut others): (Vec<_>, Vec<_>) =
        found.listed.iter().partition(|image| image.what == "changed");
    let shown = changed.iter().zip(pictures).take(PICTURES_MAX).map(|(image, picture)| Shown {
        image,
        picture: picture.as_deref(),
        share: image.share.map_or(human::DASH.to_owned(), human::percent),
    });
    let shown: Vec<Shown<'_>> = shown.collect();
    let more_others = others.len().saturating_sub(OTHERS_MAX) as u64;
    others.truncate(OTHERS_MAX);
    let page = Page {
        title,
        found,
        share: human::percent(found.changed_pixels as f64 / found.compared_pixels.max(1) as f64),
        more: (changed.len() - shown.len()) as u64,
        shown,
        others,
        more_others,
    };
    page.render().unwrap_or_else(|error| format!("the page cannot be written: {error}"))
}

/// The table of images that came, went or changed: CSV with a header.
pub fn table(found: &Difference) -> Vec<u8> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let written = "a table in memory takes any row";
    let header =
        ["image_id", "what", "why", "changed_pixels", "share", "most_from", "most_to", "not_compared"];
    table.write_record(header).expect(written);
    for image in &found.listed {
        let most = image.most.as_ref();
        let row = [
            image.id.clone(),
            image.what.to_owned(),
            image.why.map_or(String::new(), |why| why.words().to_owned()),
            image.changed_pixels.map_or(String::new(), |pixels| pixels.to_string()),
            image.share.map_or(String::new(), |share| format!("{share:.6}")),
            most.map_or(String::new(), |flip| flip.from.clone()),
            most.map_or(String::new(), |flip| flip.to.clone()),
            image.reason.clone().unwrap_or_default(),
        ];
        table.write_record(&row).expect(written);
    }
    table.into_inner().expect(written)
}
