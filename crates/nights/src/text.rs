//! What changed between two nights, for a terminal.

use crate::difference::{Difference, ImageDifference};
use marquetry_page::human;

/// What changed, as lines. At most `most` images are listed.
pub fn text(found: &Difference, most: usize) -> String {
    let (before, after, images) = (&found.before, &found.after, &found.images);
    let mut lines = vec![
        format!("{} ({}) to {} ({})", before.at, before.job, after.at, after.job),
        format!(
            "images   {} the same, {} changed, {} new, {} gone",
            human::count(images.same),
            human::count(images.changed),
            human::count(images.came),
            human::count(images.gone)
        ),
    ];
    if images.unchanged > 0 {
        let count = human::count(images.unchanged);
        lines.push(format!(
            "         {count} of those that changed were made anew and have the labels that they had"
        ));
    }
    if images.not_compared > 0 {
        let count = human::count(images.not_compared);
        lines.push(format!("         {count} of those that changed could not be compared"));
    }
    let share = found.changed_pixels as f64 / found.compared_pixels.max(1) as f64;
    lines.push(format!(
        "pixels   {} of {} have another label ({})",
        human::count(found.changed_pixels),
        human::count(found.compared_pixels),
        human::percent(share)
    ));
    if let Some((then, now)) = before.mean_iou.zip(after.mean_iou) {
        lines.push(format!("mean IoU {then:.4} then, {now:.4} now ({:+.4})", now - then));
    }
    let members = &found.members;
    for (what, names) in
        [("new", &members.came), ("gone", &members.gone), ("another model", &members.replaced)]
    {
        if !names.is_empty() {
            lines.push(format!("members  {what}: {}", names.join(", ")));
        }
    }
    let width = found.classes.iter().map(|class| class.name.chars().count()).max().unwrap_or(0).max(5);
    lines.push(format!(
        "\n{:width$}  {:>14}  {:>14}  {:>12}  {:>12}",
        "class", "px then", "px now", "gained", "lost"
    ));
    for class in &found.classes {
        let [before, after, gained, lost] =
            [class.before, class.after, class.gained, class.lost].map(human::count);
        lines.push(format!("{:width$}  {before:>14}  {after:>14}  {gained:>12}  {lost:>12}", class.name));
    }
    if !found.listed.is_empty() {
        lines.push(String::new());
        lines.extend(found.listed.iter().take(most).map(line));
        let more = found.listed.len().saturating_sub(most);
        if more > 0 {
            lines.push(format!("… and {} more", human::count(more as u64)));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn line(image: &ImageDifference) -> String {
    let mut words = format!("{:8} {}", image.what, image.id);
    if let Some(why) = image.why.filter(|_| image.what == "changed") {
        words += &format!(" ({})", why.words());
    }
    if let Some((pixels, share)) = image.changed_pixels.zip(image.share) {
        words += &format!(": {} px ({})", human::count(pixels), human::percent(share));
    }
    if let Some(most) = &image.most {
        words += &format!(", most of it {} to {}", most.from, most.to);
    }
    if let Some(reason) = &image.reason {
        words += &format!(": not compared, {reason}");
    }
    words
}
