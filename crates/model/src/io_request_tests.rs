use super::*;
use crate::toy::Toy;
use crate::{InspectOptions, OutputForm, inspect};

fn facts(toy: &Toy, size: Size) -> ModelFacts {
    let options = InspectOptions { size: Some(size), ..Default::default() };
    inspect(&crate::runtime::for_tests(), &toy.bytes(), &options).unwrap()
}

fn wanted(size: u32, batch: u32) -> IoRequest {
    IoRequest {
        head: None,
        channels_out: Vec::new(),
        layout: None,
        channels: None,
        size: Size::square(size),
        batch,
    }
}

fn refusal(facts: &ModelFacts, wanted: &IoRequest) -> String {
    resolve(facts, wanted).unwrap_err().to_string()
}

#[test]
fn a_plain_model_gives_what_is_wanted() {
    let facts = facts(&Toy { classes: 2, stride: 2, ..Default::default() }, Size::square(64));
    let asked = IoRequest {
        head: Some("scores".into()),
        channels_out: Vec::new(),
        layout: Some(Layout::Nchw),
        channels: Some(3),
        size: Size::new(32, 96),
        batch: 4,
    };
    let ResolvedIo { signature, warnings } = resolve(&facts, &asked).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!((signature.size, signature.output_size), (Size::new(32, 96), Size::new(16, 48)));
    assert_eq!((signature.input_len(), signature.output_len()), (4 * 3 * 32 * 96, 4 * 2 * 16 * 48));
    let dims: Vec<_> = signature.dims.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(dims, [("H", 32), ("N", 4), ("W", 96)]);
    let json = serde_json::to_string(&signature).unwrap();
    assert_eq!(serde_json::from_str::<IoContract>(&json).unwrap(), signature);
}

#[test]
fn what_cannot_be_is_refused_with_both_sides() {
    let fixed = facts(&Toy { size: Some(Size::square(32)), ..Default::default() }, Size::square(32));
    assert_eq!(
        refusal(&fixed, &wanted(64, 1)),
        "the model takes 32 × 32 px only, the job's window is 64 × 64 px: set window: {size: 32}"
    );
    let plain = facts(&Toy::default(), Size::square(32));
    let head = IoRequest { head: Some("logits".into()), ..wanted(32, 1) };
    assert_eq!(
        refusal(&plain, &head),
        "the model has no output `logits`, it has: `scores` (1 channel, 32 × 32 px)"
    );
    let layout = IoRequest { layout: Some(Layout::Nhwc), ..wanted(32, 1) };
    assert_eq!(
        refusal(&plain, &layout),
        "the model's input is nchw with dimensions [N, 3, H, W], the job says nhwc"
    );
    let channels = IoRequest { channels: Some(1), ..wanted(32, 1) };
    assert_eq!(refusal(&plain, &channels), "the model takes 3 channels, the job gives 1");
    assert!(refusal(&plain, &wanted(0, 1)).contains("0 × 0"));
    let coarse = facts(&Toy { coarse: 16, ..Default::default() }, Size::square(64));
    assert!(
        refusal(&coarse, &wanted(100, 1))
            .contains("multiples of 16 px, the job's window is 100 × 100 px: 112 × 112")
    );
    let classifier = facts(&Toy { pooled: true, ..Default::default() }, Size::square(32));
    assert!(refusal(&classifier, &wanted(32, 1)).starts_with("not a segmentation model: output `scores`"));
}

#[test]
fn a_batch_that_cannot_be_becomes_one_that_can() {
    let batch = |toy: Toy, wanted_batch| {
        let resolved = resolve(&facts(&toy, Size::square(32)), &wanted(32, wanted_batch)).unwrap();
        (resolved.signature.batch, resolved.warnings)
    };
    let (size, warnings) = batch(Toy { single: true, ..Default::default() }, 8);
    assert!(
        size == 1 && warnings[0].contains("fails at 2") && warnings[0].ends_with("it runs at batch 1, not 8")
    );
    let (size, warnings) = batch(Toy { batch: Some(4), ..Default::default() }, 8);
    assert_eq!(
        (size, warnings),
        (4, vec!["the model takes batches of 4 only: it runs at batch 4, not 8".to_owned()])
    );
    let (size, _) = batch(Toy { form: OutputForm::Hw, ..Default::default() }, 2);
    assert_eq!(size, 1);
    assert_eq!(batch(Toy { single: true, ..Default::default() }, 1), (1, vec![]));
}

#[test]
fn the_last_of_equal_heads_is_used() {
    let two = facts(&Toy { heads: vec!["a".into(), "b".into()], ..Default::default() }, Size::square(32));
    let resolved = resolve(&two, &wanted(32, 1)).unwrap();
    assert_eq!(resolved.signature.head, "b");
    let first = IoRequest { head: Some("a".into()), ..wanted(32, 1) };
    assert_eq!(resolve(&two, &first).unwrap().signature.head, "a");
}

#[test]
fn the_head_with_the_right_channels_is_used() {
    let heads = |names: [&str; 3], classes: [u32; 3], channels_out: &[u32]| {
        let heads = names.map(str::to_owned).to_vec();
        let facts =
            facts(&Toy { heads, head_classes: classes.to_vec(), ..Default::default() }, Size::square(32));
        let wanted = IoRequest { channels_out: channels_out.to_vec(), ..wanted(32, 1) };
        resolve(&facts, &wanted).unwrap().signature.head
    };
    assert_eq!(heads(["f0", "seg", "f1"], [8, 4, 8], &[4]), "seg");
    assert_eq!(heads(["mask", "aux_mask", "f"], [4, 4, 16], &[4]), "mask");
    assert_eq!(heads(["seg", "edge", "ds1"], [2, 2, 2], &[2, 1]), "seg");
    assert_eq!(heads(["out", "flow_pred", "normals"], [3, 3, 3], &[3]), "out");
    assert_eq!(heads(["a_normalized", "edges", "ds_2"], [3, 3, 3], &[3]), "a_normalized");
    // Whoever chose by a name is told of the others.
    let toy = Toy {
        heads: ["seg", "edge", "aux", "small"].map(str::to_owned).to_vec(),
        head_classes: vec![2, 2, 2, 5],
        ..Default::default()
    };
    assert_eq!(rival_heads(&facts(&toy, Size::square(32)), &[2, 1], "seg"), ["seg", "edge"]);
    assert_eq!(heads(["a", "b", "c"], [8, 1, 8], &[2, 1]), "b");
    assert_eq!(heads(["a", "b", "c"], [8, 9, 8], &[4]), "c", "none of them has the right number");
}

#[test]
fn a_name_for_two_values_is_left_open() {
    let mut facts = facts(&Toy::default(), Size::square(32));
    facts.inputs[0].dims[3] = Dim::Symbol("H".into());
    let oblong = IoRequest { size: Size::new(32, 64), ..wanted(32, 1) };
    let signature = resolve(&facts, &oblong).unwrap().signature;
    assert_eq!(signature.dims.keys().collect::<Vec<_>>(), ["N"]);
}
