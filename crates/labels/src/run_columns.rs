//! Which column of a table is what, and which class a row is of.

use crate::classes::ClassList;
use crate::rules::LabelRules;
use csv::StringRecord;
use marquetry_geometry::Size;

/// What columns of run lengths are called.
const TEXTS: [&str; 9] = [
    "encodedpixels",
    "encoded_pixels",
    "rle",
    "rle_mask",
    "encoding",
    "segmentation",
    "annotation",
    "annotations",
    "mask",
];
/// What columns of classes are called.
const CLASSES: [&str; 9] = [
    "class",
    "class_id",
    "classid",
    "class_name",
    "label",
    "label_id",
    "category",
    "category_id",
    "category_name",
];
/// What columns of images are called; the last two say that the class is in them too.
const IMAGES: [&str; 12] = [
    "image_id",
    "imageid",
    "id",
    "image",
    "img",
    "img_id",
    "filename",
    "file_name",
    "image_name",
    "path",
    "imageid_classid",
    "image_label",
];

/// Places of columns.
#[derive(Debug)]
pub(crate) struct Columns {
    image: usize,
    text: usize,
    size: Option<[usize; 2]>,
    class: ClassPlace,
}

/// Where the class of a row stands.
#[derive(Debug)]
enum ClassPlace {
    Column(usize),
    /// It ends the key: one of these names.
    InKey(Vec<String>),
    /// Nowhere: all rows are of one class.
    One(String),
}

/// One row.
pub(crate) struct Row<'a> {
    pub(crate) image: &'a str,
    pub(crate) class: &'a str,
    pub(crate) text: &'a str,
    pub(crate) size: Option<Size>,
}

impl Columns {
    pub(crate) fn find(
        header: &StringRecord,
        records: &[StringRecord],
        rules: &LabelRules,
        classes: &ClassList,
    ) -> Result<Self, String> {
        let named = |names: &[&str]| {
            names.iter().find_map(|name| header.iter().position(|own| own.eq_ignore_ascii_case(name)))
        };
        let unknown = |what: &str, names: &[&str]| {
            let given = header.iter().collect::<Vec<_>>().join(",");
            format!("no column of `{given}` is known to be {what}; call it one of {}", names.join(", "))
        };
        let text = named(&TEXTS).ok_or_else(|| unknown("the run lengths", &TEXTS))?;
        let image = named(&IMAGES).ok_or_else(|| unknown("the image", &IMAGES[..10]))?;
        let size = named(&["height", "img_height"])
            .zip(named(&["width", "img_width"]))
            .map(|(height, width)| [height, width]);
        let class = if let Some(column) = named(&CLASSES) {
            ClassPlace::Column(column)
        } else {
            let joined = IMAGES[10..].contains(&header[image].to_lowercase().as_str());
            Self::class_of_keys(
                records.iter().filter_map(|record| record.get(image)),
                joined,
                rules,
                classes,
            )?
        };
        Ok(Self { image, text, size, class })
    }

    /// Where the class is that has no column.
    fn class_of_keys<'a>(
        mut keys: impl Iterator<Item = &'a str>,
        joined: bool,
        rules: &LabelRules,
        classes: &ClassList,
    ) -> Result<ClassPlace, String> {
        let mapped = rules.map.iter().map(|entry| entry.from.clone());
        let mut names: Vec<String> = classes.names().iter().cloned().chain(mapped).collect();
        if joined {
            names.extend((0..classes.len()).map(|class| class.to_string()));
        }
        let ends = |key: &str| split(key, &names).is_some();
        match keys.find(|key| !ends(key)) {
            None => Ok(ClassPlace::InKey(names)),
            Some(key) if joined => Err(format!(
                "the key `{key}` does not end in _ and a class; the classes are {}",
                classes.listed()
            )),
            Some(_) => {
                let is_foreground = |at: &usize| match classes.background() {
                    Some(background) => *at != usize::from(background),
                    None => classes.len() == 2 && *at == 1,
                };
                let foreground: Vec<usize> = (0..classes.len()).filter(is_foreground).collect();
                match foreground[..] {
                    [only] => Ok(ClassPlace::One(classes.names()[only].clone())),
                    _ => Err(format!(
                        "neither a column ({}) nor the end of the key says the class, and there are several: {}",
                        CLASSES.join(", "),
                        classes.listed()
                    )),
                }
            }
        }
    }

    pub(crate) fn row<'a>(&'a self, record: &'a StringRecord) -> Result<Row<'a>, String> {
        let cell = |at: usize| record.get(at).unwrap_or_default();
        let (mut image, text) = (cell(self.image), cell(self.text));
        let class = match &self.class {
            ClassPlace::Column(column) => cell(*column),
            ClassPlace::One(name) => name,
            ClassPlace::InKey(names) => {
                let (own, class) = split(image, names).ok_or("the key does not end in a class")?;
                image = own;
                class
            }
        };
        if image.is_empty() {
            return Err("it names no image".to_owned());
        }
        let side =
            |at: usize| cell(at).parse::<u32>().map_err(|_| format!("`{}` is no height or width", cell(at)));
        let size = match self.size {
            Some([height, width]) => Some(Size::new(side(height)?, side(width)?)),
            None => None,
        };
        Ok(Row { image, class, text, size })
    }
}

/// A key without the longest of `names` that ends it after an underscore, and that name.
fn split<'a>(key: &'a str, names: &[String]) -> Option<(&'a str, &'a str)> {
    let ends = names.iter().filter_map(|name| {
        let rest = key.strip_suffix(name.as_str())?.strip_suffix('_')?;
        (!rest.is_empty() && !name.is_empty()).then_some((rest, &key[rest.len() + 1..]))
    });
    ends.min_by_key(|(rest, _)| rest.len())
}

/// Numbers for the classes that a table names; 0 is what no run covers.
#[derive(Debug)]
pub(crate) struct Named {
    /// Whether classes are numbers themselves.
    plain: bool,
    zero_is_background: bool,
    names: Vec<(u32, String)>,
}

impl Named {
    pub(crate) fn new(classes: &ClassList) -> Self {
        // What is not covered is background, under whatever name the classes have for it.
        let background = classes.background().map(|at| classes.names()[usize::from(at)].clone());
        let zero = (0, background.unwrap_or_else(|| "background".to_owned()));
        Self { plain: false, zero_is_background: classes.background() == Some(0), names: vec![zero] }
    }

    /// The number of a class that a row names.
    pub(crate) fn number(&mut self, class: &str) -> Result<u32, String> {
        if class.is_empty() {
            return Err("it names no class".to_owned());
        }
        if let Ok(number) = class.parse::<u32>() {
            if self.names.len() > 1 {
                return Err(format!("its class is the number {class}, and others are names"));
            }
            if number == 0 && !self.zero_is_background {
                return Err("its class is 0, which is what no run covers; name the classes".to_owned());
            }
            self.plain = true;
            return Ok(number);
        }
        if self.plain {
            return Err(format!("its class is `{class}`, and others are numbers"));
        }
        if let Some((number, _)) = self.names[1..].iter().find(|(_, name)| name == class) {
            return Ok(*number);
        }
        let number = self.names.len() as u32;
        self.names.push((number, class.to_owned()));
        Ok(number)
    }

    pub(crate) fn names(self) -> Option<Vec<(u32, String)>> {
        (!self.plain).then_some(self.names)
    }
}
