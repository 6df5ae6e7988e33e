//! What there is to tell of rounds: words and JSON.

use crate::in_time::time::Time;
use crate::say;
use marquetry_coordinator::{Budget, Cut, Round};
use serde_json::{Value, json};

/// So many rounds are named in words.
const NAMED: usize = 10;

/// Names, the first ones.
pub(crate) fn names(rounds: &[Round]) -> String {
    let named = rounds.iter().take(NAMED).map(|round| round.name.as_str()).collect::<Vec<_>>().join(", ");
    match rounds.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// So many rounds, in words.
pub(crate) fn counted(rounds: usize) -> String {
    if rounds == 1 { "1 round".to_owned() } else { format!("{rounds} rounds") }
}

/// What a submission of the first `whole` rounds does not have, for its report.
pub(crate) fn not_in_it(time: Time, rounds: &[Round], whole: usize) -> Option<String> {
    let left_out = &rounds[whole.min(rounds.len())..];
    (!left_out.is_empty()).then(|| {
        format!("{} of {} (--finish-in {time}): {}", left_out.len(), counted(rounds.len()), names(left_out))
    })
}

/// How it ended, in one line.
pub(crate) fn ended(budget: &Budget, (time, took): (Time, f64), rounds: &[Round], cut: Cut) -> String {
    let (whole, all) = (budget.rounds(), rounds.len());
    let rate =
        budget.forwards_per_second().map_or_else(String::new, |rate| format!(", {rate:.1} forwards/s"));
    let took = say::seconds(took);
    if whole == all {
        return format!("--finish-in {time}: all of {} in the submission ({took}{rate})", counted(all));
    }
    let why = match cut {
        Cut::TimeIsUp => "the time is over",
        Cut::NothingFits | Cut::FewerFit | Cut::All => "no further round fits",
    };
    let (left_out, all) = (names(&rounds[whole..]), counted(all));
    format!(
        "--finish-in {time}: {whole} of {all} in the submission ({took}{rate}), {why}; left out: {left_out}"
    )
}

/// The same for machines.
pub(crate) fn json(budget: &Budget, (time, took): (Time, f64), rounds: &[Round], cut: Option<Cut>) -> Value {
    let names = |rounds: &[Round]| rounds.iter().map(|round| round.name.clone()).collect::<Vec<_>>();
    let (inside, left_out) = rounds.split_at(budget.rounds());
    json!({
        "seconds": time.seconds(),
        "took_seconds": took,
        "rounds": inside.len(),
        "rounds_of": rounds.len(),
        "members": names(inside),
        "left_out": names(left_out),
        "forwards_per_second": budget.forwards_per_second(),
        "ended": cut.map(|cut| match cut {
            Cut::All => "all rounds are in the submission",
            Cut::TimeIsUp => "the time is over",
            Cut::NothingFits | Cut::FewerFit => "no further round fits",
        }),
    })
}
