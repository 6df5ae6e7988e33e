//! Where a model's output lies in its window: as the job says, or as the trial run shows.

use crate::planning::findings::{Choice, Origin};
use marquetry_geometry::Size;
use marquetry_job::Fit;
use marquetry_model::{Fit as SeenFit, Relation, ScoreFacts};

/// The fit, and what there is to tell of it.
#[derive(Debug, PartialEq)]
pub(crate) struct SettledFit {
    pub(crate) fit: Fit,
    /// The same in words, and where it came from.
    pub(crate) choice: Choice<String>,
    /// What could not be seen, or contradicts what the job says.
    pub(crate) warning: Option<String>,
}

/// Settles how an output of which the trial on a window of `input` px found `scores` is laid over the window. Without
/// them nothing but what is said is known.
///
/// # Errors
/// With the reason, when the output leaves the end of the window out.
pub(crate) fn settle_fit(
    said: Option<Fit>,
    input: Size,
    scores: Option<&ScoreFacts>,
) -> Result<SettledFit, String> {
    let settled =
        |fit, value: String, from, warning| Ok(SettledFit { fit, choice: Choice { value, from }, warning });
    let Some(scores) = scores else {
        let (fit, from) = said.map_or((Fit::Resize, Origin::Default), |fit| (fit, Origin::Said));
        return settled(fit, word(fit).to_owned(), from, None);
    };
    if scores.relation == Relation::Same {
        let fit = said.unwrap_or(Fit::Resize);
        return settled(fit, "the input's size".to_owned(), Origin::Measured, None);
    }
    let seen = match scores.fit {
        SeenFit::Resize => Fit::Resize,
        SeenFit::Centre => Fit::Centre,
        SeenFit::Crop => Fit::Crop,
    };
    let output = scores.size;
    let smaller = output.height < input.height || output.width < input.width;
    if said.unwrap_or(seen) == Fit::Crop && smaller {
        return Err(format!(
            "output.fit: the output's {output} px are the first of the window's {input} px, px for px, and the rest of \
             the window gets no scores: try another window.size, or export the model so that it pads its input and gives scores \
             for all of it; if the output is in truth the middle of the window, or all of it made smaller, say output.fit: \
             centre or resize"
        ));
    }
    match said {
        None if scores.fit_is_sure => {
            let value = format!("{}, since {}", word(seen), shown(seen, input, output));
            settled(seen, value, Origin::Measured, None)
        }
        None => {
            let warning = format!(
                "output.fit: where an output of {output} px lies in a window of {input} px could not be seen; it is \
                 taken for {}: say output.fit if it is not",
                word(seen)
            );
            settled(seen, word(seen).to_owned(), Origin::Default, Some(warning))
        }
        Some(fit) if fit != seen && scores.fit_is_sure => {
            let warning = format!(
                "output.fit: {} is said, but in a trial run {}: leave it out, or say {}",
                word(fit),
                shown(seen, input, output),
                word(seen)
            );
            settled(fit, word(fit).to_owned(), Origin::Said, Some(warning))
        }
        Some(fit) => settled(fit, word(fit).to_owned(), Origin::Said, None),
    }
}

const fn word(fit: Fit) -> &'static str {
    match fit {
        Fit::Resize => "resize",
        Fit::Centre => "centre",
        Fit::Crop => "crop",
    }
}

fn shown(fit: Fit, input: Size, output: Size) -> String {
    match fit {
        Fit::Resize => format!("an output of {output} px shows the whole of a window of {input} px"),
        Fit::Centre => {
            format!("an output of {output} px and a window of {input} px share their middle, px for px")
        }
        Fit::Crop => format!("an output of {output} px begins where a window of {input} px does, px for px"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_model::{Activation, OutputForm, Response, Values};

    fn scores(size: u32, fit: SeenFit, fit_is_sure: bool) -> ScoreFacts {
        ScoreFacts {
            form: OutputForm::Nchw,
            classes: 2,
            size: Size::square(size),
            relation: if size == 92 { Relation::Same } else { Relation::Unclear },
            fit,
            fit_is_sure,
            activation: Activation::None,
            range: (-1.0, 1.0),
            noise: Values { activation: Activation::None, range: (-1.0, 1.0) },
            images: None,
            response: Response::Image,
            notes: Vec::new(),
        }
    }

    #[test]
    fn what_was_seen_is_used_and_what_contradicts_it_is_said() {
        let window = Size::square(92);
        let settle = |said, scores: &ScoreFacts| settle_fit(said, window, Some(scores)).unwrap();
        let middle = scores(52, SeenFit::Centre, true);
        let auto = settle(None, &middle);
        assert!(auto.fit == Fit::Centre && auto.warning.is_none(), "{auto:?}");
        assert!(auto.choice.value.starts_with("centre, since") && auto.choice.from == Origin::Measured);
        let said = settle(Some(Fit::Resize), &middle);
        assert!(said.fit == Fit::Resize && said.warning.unwrap().contains("say centre"));
        assert_eq!(settle(Some(Fit::Centre), &middle).warning, None);
        let unclear = settle(None, &scores(96, SeenFit::Crop, false));
        assert!(unclear.fit == Fit::Crop && unclear.warning.unwrap().contains("could not be seen"));
        let same = settle(None, &scores(92, SeenFit::Resize, true));
        assert!(same.fit == Fit::Resize && same.warning.is_none());
        assert!(
            settle_fit(None, window, Some(&scores(80, SeenFit::Crop, true)))
                .unwrap_err()
                .contains("window.size")
        );
    }
}
