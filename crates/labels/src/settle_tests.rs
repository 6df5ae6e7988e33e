use super::*;
use crate::error::LabelError;
use crate::raw::{LabelFacts, RawLabel};
use crate::rules::{IgnoreRule, MapEntry, NodataRule};
use crate::source::LabelEntry;
use marquetry_geometry::Size;

/// Two labels that exist only as numbers.
struct Numbers {
    entries: Vec<LabelEntry>,
    names: Option<Vec<(u32, String)>>,
}

impl LabelSource for Numbers {
    fn name(&self) -> String {
        "masks".into()
    }

    fn entries(&self) -> &[LabelEntry] {
        &self.entries
    }

    fn size(&self, _: usize) -> Result<Option<Size>, LabelError> {
        Ok(None)
    }

    fn read(&self, _: usize, _: Option<Size>, _: &mut RawLabel) -> Result<(), LabelError> {
        Ok(())
    }

    fn value_names(&self) -> Option<&[(u32, String)]> {
        self.names.as_deref()
    }
}

fn label(values: &[u32]) -> RawLabel {
    let facts = LabelFacts { kind: "PNG, grey".into(), ..LabelFacts::default() };
    let (size, missing) = (Size::new(1, values.len() as u32), vec![false; values.len()]);
    RawLabel { size, values: values.to_vec(), missing, facts, ..RawLabel::default() }
}

struct Case {
    classes: ClassList,
    rules: LabelRules,
    names: Option<Vec<(u32, String)>>,
}

impl Case {
    fn new(classes: &[&str]) -> Self {
        let classes = ClassList::new(classes.iter().map(ToString::to_string).collect()).unwrap();
        Self { classes, rules: LabelRules::default(), names: None }
    }

    fn with(mut self, change: impl FnOnce(&mut LabelRules)) -> Self {
        change(&mut self.rules);
        self
    }

    fn map(self, entries: &[&str]) -> Self {
        let map = entries.iter().map(|text| MapEntry::parse(text, &self.classes).unwrap()).collect();
        self.with(|rules| rules.map = map)
    }

    fn settled(&self, side: Side, labels: &[RawLabel]) -> Settlement {
        let entries = (0..labels.len()).map(|at| LabelEntry { path: format!("{at}.png") }).collect();
        let source = Numbers { entries, names: self.names.clone() };
        let mut census = Census::default();
        labels.iter().enumerate().for_each(|(at, label)| census.merge(Census::of(at, label)));
        settle(side, &source, &census, &self.rules, &self.classes)
    }

    fn classes_of(&self, side: Side, label: &RawLabel) -> Vec<u16> {
        let settlement = self.settled(side, std::slice::from_ref(label));
        assert_eq!(settlement.problems, Vec::<String>::new());
        let mut out = Vec::new();
        settlement.mapping.apply(label, &mut out);
        out
    }

    fn truth(&self, values: &[u32]) -> Vec<u16> {
        self.classes_of(Side::Truth, &label(values))
    }

    /// What is refused, in one text.
    fn refused(&self, labels: &[RawLabel]) -> String {
        self.settled(Side::Truth, labels).problems.join("\n")
    }
}

const I: u16 = LEFT_OUT;
const N: u16 = NO_CLASS;

#[test]
fn of_two_classes_0_and_255_are_both() {
    let two = || Case::new(&["background", "nucleus"]);
    assert_eq!(two().truth(&[0, 255, 0]), [0, 1, 0]);
    assert_eq!(two().truth(&[0, 65535]), [0, 1]);
    assert_eq!(two().truth(&[255]), [1]);
    let said = two().settled(Side::Truth, &[label(&[0, 255])]).notes.join("\n");
    assert!(said.contains("value 255 stands beside 0 alone") && said.contains("`nucleus`"), "{said}");
    // With another foreground, and where it is said, 255 is left out.
    assert_eq!(two().truth(&[0, 1, 255]), [0, 1, I]);
    assert_eq!(two().with(|rules| rules.ignore = IgnoreRule::Value(255)).truth(&[0, 255]), [0, I]);
    assert_eq!(Case::new(&["a", "b", "c"]).truth(&[0, 255]), [0, I]);
    // In a prediction it is an error, never left out.
    assert_eq!(two().classes_of(Side::Prediction, &label(&[0, 1, 255])), [0, 1, N]);
    let nothing = two().with(|rules| rules.ignore = IgnoreRule::Nothing).refused(&[label(&[0, 1, 255])]);
    assert!(nothing.contains("value 255"), "{nothing}");
}

/// The second of two classes is 1 in some files and 255 in others.
#[test]
fn files_of_two_forms_are_told_by_both() {
    let two = || Case::new(&["background", "boat"]);
    let mixed = [label(&[0, 255]), label(&[0, 1]), label(&[255]), label(&[0]), label(&[1])];
    let said = two().settled(Side::Truth, &mixed);
    let [warning] = &said.warnings[..] else { panic!("{:?}", said.warnings) };
    assert!(
        warning.contains("2 files with 0 and 255, such as 0.png, and 2 files with 0 and 1, such as 1.png"),
        "{warning}"
    );
    assert!(warning.contains("say `map` 0=background,1=boat,255=boat; if not, `ignore` 255"), "{warning}");
    assert_eq!(said.notes, Vec::<String>::new(), "nothing that reassures");
    // What is advised does what it says.
    let mapped = two().map(&["0=background", "1=boat", "255=boat"]);
    assert_eq!(mapped.settled(Side::Truth, &mixed).warnings, Vec::<String>::new());
    assert_eq!(mapped.truth(&[0, 1, 255]), [0, 1, 1]);
    let ignored = two().with(|rules| rules.ignore = IgnoreRule::Value(255));
    assert!(!ignored.settled(Side::Truth, &mixed).warnings.join("").contains("none has both"));
    // One file with both has 255 as the usual value that is left out.
    let usual = [label(&[0, 255]), label(&[0, 1]), label(&[1, 255])];
    let said = two().settled(Side::Truth, &usual);
    assert_eq!(said.warnings, Vec::<String>::new());
    assert!(said.notes.join("").contains("255 is left out, as is usual"), "{:?}", said.notes);
    // Grey as three bands is the same.
    let said = two().settled(Side::Truth, &[coloured(&[0, 0xff_ff_ff]), label(&[0, 1])]);
    assert!(said.warnings.join("").contains("1 file with 0 and 255, such as 0.png"), "{:?}", said.warnings);
}

#[test]
fn what_is_said_of_255_is_true() {
    let notes = |classes: &[&str], values: &[u32]| {
        let said = Case::new(classes).settled(Side::Truth, &[label(values)]);
        (said.notes.join("\n"), said.warnings.join("\n"))
    };
    let (only, _) = notes(&["background", "boat"], &[255, 255]);
    assert_eq!(only, "value 255 is the only one, and there are two classes: it is `boat`");
    let (quiet, warned) = notes(&["boat", "background"], &[0, 255]);
    assert_eq!(quiet, "");
    assert!(warned.contains("it is `background`, the second of them"), "{warned}");
    assert!(warned.ends_with("say `map` 0=background,255=boat"), "{warned}");
    let advised = Case::new(&["boat", "background"]).map(&["0=background", "255=boat"]);
    assert_eq!(advised.truth(&[0, 255]), [1, 0]);
}

#[test]
fn a_value_that_means_nothing_is_refused_with_its_place() {
    let case = Case::new(&["road", "car"]);
    let refused = case.refused(&[label(&[0, 1]), label(&[0, 7, 7]), label(&[9, 7])]);
    assert!(refused.contains("value 7 (3 px in 2 files, first in 1.png at row 0, column 1)"), "{refused}");
    assert!(refused.contains("value 9 (1 px in 1 file, first in 2.png at row 0, column 0)"), "{refused}");
    assert!(refused.contains("map` 7=CLASS"), "{refused}");
    let ignore = Case::new(&["road", "car"]).with(|rules| rules.others = Others::Ignore);
    assert_eq!(ignore.truth(&[0, 7]), [0, I]);
    assert_eq!(ignore.classes_of(Side::Prediction, &label(&[0, 7])), [0, N]);
    let background = Case::new(&["car", "background"]).with(|rules| rules.others = Others::Background);
    assert_eq!(background.truth(&[0, 7]), [0, 1]);
    let none = Case::new(&["road", "car"]).with(|rules| rules.others = Others::Background);
    assert!(none.refused(&[label(&[0])]).contains("no class is called background"));
}

#[test]
fn what_is_mapped_is_all_there_is() {
    let case = Case::new(&["road", "car"]).map(&["7=0", "26=car", "3=ignore"]);
    assert_eq!(case.truth(&[7, 26, 3, 255]), [0, 1, I, I]);
    assert!(case.refused(&[label(&[7, 1])]).contains("value 1 "), "1 is no class once numbers are mapped");
    let far = Case::new(&["road", "car"]).map(&["70000=car"]);
    assert_eq!(far.truth(&[70_000]), [1]);
    for (text, found) in [("7", "no `=`"), ("7=tree", "`tree` is no class"), ("7=2", "`2` is no class")] {
        let error = MapEntry::parse(text, &case.classes).unwrap_err().to_string();
        assert!(error.contains(found), "{error}");
    }
}

#[test]
fn categories_are_known_by_name() {
    let named = |classes: &[&str]| {
        let mut case = Case::new(classes);
        let names = ["background", "boat", "Buoy"];
        case.names =
            Some(names.iter().enumerate().map(|(at, name)| (at as u32, (*name).to_owned())).collect());
        case
    };
    assert_eq!(named(&["boat", "background", "Buoy"]).truth(&[0, 1, 2]), [1, 0, 2]);
    assert_eq!(named(&["bg", "Buoy", "boat"]).truth(&[0, 1, 2]), [0, 2, 1]);
    assert_eq!(named(&["bg", "buoy", "boat"]).map(&["Buoy=buoy"]).truth(&[2]), [1]);
    let near = named(&["bg", "buoy", "boat"]).refused(&[label(&[0, 1, 2])]);
    assert!(near.contains("`Buoy`") && near.contains("nearly `buoy`"), "{near}");
    let none = named(&["boat", "Buoy"]).refused(&[label(&[0, 1])]);
    assert!(none.contains("no annotation covers") && none.contains("background=ignore"), "{none}");
    assert_eq!(named(&["boat", "Buoy"]).map(&["background=ignore"]).truth(&[0, 1]), [I, 0]);
}

fn coloured(values: &[u32]) -> RawLabel {
    let mut label = label(values);
    label.facts.coloured = true;
    label
}

#[test]
fn colours_are_matched_exactly() {
    let table = |text: &str| {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("colours.txt");
        std::fs::write(&path, text).unwrap();
        ColourTable::open(&path).unwrap()
    };
    let case = |text: &str| {
        let table = table(text);
        Case::new(&["field", "water", "road"]).with(|rules| rules.colours = Some(table))
    };
    let three = "field:255,0,0\nwater:0,0,255\nroad:128,0,128\nignore:0,0,0\n";
    let label = coloured(&[0xff_00_00, 0x00_00_ff, 0]);
    assert_eq!(case(three).classes_of(Side::Truth, &label), [0, 1, I]);
    let idle = case(three).settled(Side::Truth, &[label]).notes.join("\n");
    assert!(idle.contains("no pixel has the colour of road"), "{idle}");
    let soft = case(three).refused(&[coloured(&[0x40_00_bf, 0xff_00_00])]);
    assert!(soft.contains("colour 64,0,191 (1 px") && soft.contains("soft edges"), "{soft}");
    let double = case("field:1,1,1\nwater:1,1,1\n").refused(&[coloured(&[0x01_01_01])]);
    assert!(double.contains("field and water"), "{double}");
    let unlisted = case("field:1,1,1\ntree:2,2,2\n").refused(&[coloured(&[0x02_02_02])]);
    assert!(unlisted.contains("`tree`"), "{unlisted}");
    // Without a table, shades of grey are numbers and colours are nothing.
    let plain = Case::new(&["field", "water", "road"]);
    assert_eq!(plain.classes_of(Side::Truth, &coloured(&[0x02_02_02, 0, 0xff_ff_ff])), [2, 0, I]);
    assert!(plain.refused(&[coloured(&[0x02_02_03])]).contains("only by a table"));
}

#[test]
fn lossy_masks_are_black_and_white_or_nothing() {
    let mut jpeg = label(&[2, 127, 128, 250]);
    jpeg.facts.lossy = true;
    let two = Case::new(&["background", "nucleus"]);
    assert_eq!(two.classes_of(Side::Truth, &jpeg), [0, 0, 1, 1]);
    let warned = two.settled(Side::Truth, &[jpeg.clone()]).warnings.join("\n");
    assert!(warned.contains("0.png") && warned.contains("2 px are of 16 to 239"), "{warned}");
    let refused = Case::new(&["a", "b", "c"]).refused(&[jpeg]);
    assert!(refused.contains("0.png") && refused.contains("PNG"), "{refused}");
}

#[test]
fn what_files_say_besides_is_asked_about() {
    let mut nodata = label(&[0, 1]);
    nodata.facts.nodata = Some(0.0);
    nodata.missing[0] = true;
    let case = Case::new(&["background", "nucleus"]);
    let refused = case.refused(std::slice::from_ref(&nodata));
    assert!(refused.contains("0 is `background`; say what `nodata` means: missing ("), "{refused}");
    assert!(refused.contains(" or value (they are `background`)"), "{refused}");
    let said = Case::new(&["background", "nucleus"]).with(|rules| rules.nodata = NodataRule::Missing);
    assert_eq!(said.classes_of(Side::Truth, &nodata), [I, 1]);
    nodata.facts.nodata = Some(-9999.0);
    assert_eq!(case.classes_of(Side::Truth, &nodata), [I, 1]);
    assert_eq!(case.classes_of(Side::Prediction, &nodata), [N, 1]);
    let mut runs = label(&[0, 1]);
    runs.facts.seams = [82, 28];
    assert!(
        case.refused(std::slice::from_ref(&runs))
            .contains("by `--run-order rows`, in a job `run_order: rows`")
    );
    runs.facts.seams = [28, 82];
    assert_eq!(case.refused(&[runs]), "");
    let mut alpha = label(&[0, 1]);
    alpha.facts.alpha_varies = true;
    assert!(case.refused(&[alpha]).contains("alpha"));
    let (mut a, mut b) = (label(&[0]), label(&[1]));
    a.facts.palette = Some(vec![[0; 3]]);
    b.facts.palette = Some(vec![[1; 3]]);
    let warned = case.settled(Side::Truth, &[a, b]).warnings.join("\n");
    assert!(warned.contains("2 different palettes") && warned.contains("0.png and 1.png"), "{warned}");
}

#[test]
fn a_truth_that_is_mostly_left_out_is_suspicious() {
    let case = Case::new(&["a", "b", "c"]);
    let warned = case.settled(Side::Truth, &[label(&[255, 255, 255, 1])]).warnings.join("\n");
    assert!(warned.contains("75 %"), "{warned}");
    let said = Case::new(&["background", "nucleus"]).with(|rules| rules.ignore = IgnoreRule::Value(255));
    let warned = said.settled(Side::Truth, &[label(&[0, 0, 0, 255])]).warnings.join("\n");
    assert!(warned.contains("of one class"), "{warned}");
    assert_eq!(said.settled(Side::Truth, &[label(&[0, 1, 0, 255])]).warnings, Vec::<String>::new());
}
