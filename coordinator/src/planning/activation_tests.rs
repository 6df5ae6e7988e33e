use super::*;
use marquetry_geometry::Size;
use marquetry_model::{Fit, OutputForm, Relation, Values};

fn values(activation: Activation, range: (f32, f32)) -> Values {
    Values { activation, range }
}

/// What noise alone shows, what images show, and so all of them together.
fn scores(classes: u32, noise: Values, images: Option<Values>) -> ScoreFacts {
    let seen = images.as_ref().unwrap_or(&noise);
    let range = (noise.range.0.min(seen.range.0), noise.range.1.max(seen.range.1));
    let agree = seen.activation == noise.activation;
    ScoreFacts {
        form: OutputForm::Nchw,
        classes,
        size: Size::square(2),
        relation: Relation::Same,
        fit: Fit::Resize,
        fit_is_sure: true,
        activation: if agree { noise.activation } else { Activation::None },
        range,
        noise,
        images,
        response: Response::Image,
        notes: Vec::new(),
    }
}

/// Noise goes far beyond what the job shows a model: probabilities of its images are probabilities.
#[test]
fn images_are_believed_where_noise_contradicts_them() {
    let wild = || values(Activation::None, (-254.0, 255.0));
    let settle = |said, scores: &ScoreFacts| settle_activation(said, scores, Labelling::Multiclass);
    for (classes, seen, applied) in [
        (2, Activation::Softmax, OutputActivation::Softmax),
        (1, Activation::Sigmoid, OutputActivation::Sigmoid),
    ] {
        let facts = scores(classes, wild(), Some(values(seen, (0.05, 0.9))));
        let auto = settle(None, &facts).unwrap();
        assert_eq!(auto.applied, applied);
        let warning = auto.warning.unwrap();
        assert!(warning.contains("0.050 to 0.900") && warning.contains("-254.000 to 255.000"), "{warning}");
        let said = settle(Some(applied), &facts).unwrap();
        assert!(said.applied == applied && said.warning.is_none(), "{said:?}");
        let none = settle(Some(OutputActivation::None), &facts).unwrap();
        assert!(none.warning.unwrap().contains("applied twice"));
    }
    for facts in [
        // Independent channels in 0 to 1 may be scores by chance, and so may one that hardly moves.
        scores(3, wild(), Some(values(Activation::Sigmoid, (0.05, 0.9)))),
        scores(1, wild(), Some(values(Activation::Sigmoid, (0.4, 0.6)))),
        scores(1, wild(), Some(values(Activation::None, (-3.0, 9.0)))),
        scores(1, wild(), None),
    ] {
        let auto = settle(None, &facts).unwrap();
        assert!(auto.applied == OutputActivation::None && auto.warning.is_none(), "{auto:?}");
    }
    let beyond =
        scores(1, values(Activation::Sigmoid, (0.0, 1.0)), Some(values(Activation::None, (-3.0, 9.0))));
    assert!(settle(Some(OutputActivation::Sigmoid), &beyond).is_err(), "images show that it is none");
}
