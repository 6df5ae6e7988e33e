//! `marquetry diff`: what changed between two runs of a job that runs again and again.

use crate::args::Format;
use crate::exit::{Exit, Fatal};
use crate::job::start_tokio;
use crate::say;
use crate::storage::{Storage, StorageArgs};
use clap::Args;
use futures_util::{StreamExt, stream};
use marquetry_nights::{
    AllClasses, Difference, Flips, Night, NightImage, PICTURES_MAX, Pair, Shown, compare_labels, difference,
    page, pairs, table, text,
};
use marquetry_telemetry::Metrics;
use marquetry_transport::uri::{is_uri, join};
use marquetry_transport::{ObjectStore, StoreErrorKind};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Images whose labels are read and compared side by side.
const AT_ONCE: usize = 8;
/// The folder of pictures, beside the page.
const PICTURES: &str = "pictures";

#[derive(Args)]
pub(crate) struct DiffArgs {
    /// The earlier run: a file `nights/NAME/DATE.json` of the job's store, a path or s3://…; or a folder of them, whose last
    /// two are compared.
    #[arg(value_name = "NIGHT")]
    before: String,
    /// The later run.
    #[arg(value_name = "NIGHT")]
    after: Option<String>,
    /// Write a page with pictures of what changed most (`index.html`, `images.csv`, `difference.json`) into this folder.
    #[arg(long, value_name = "DIR")]
    html: Option<PathBuf>,
    /// Images that are listed in a terminal.
    #[arg(long, value_name = "N", default_value_t = 20)]
    list: usize,
    /// How the result is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    storage: StorageArgs,
}

pub(crate) fn run(args: &DiffArgs) -> Result<Exit, Fatal> {
    let tokio = start_tokio()?;
    let storage = args.storage.open(&tokio, Duration::ZERO, &Metrics::new());
    let [before, after] = nights(args, &storage)?;
    let [before, after] =
        [StoredNight::open(&before, &storage, &tokio)?, StoredNight::open(&after, &storage, &tokio)?];
    if before.night.at > after.night.at {
        say::note(&format!(
            "warning: {} is later than {}: what is called new was there before",
            before.night.at, after.night.at
        ));
    }
    if before.night.exclusive != after.night.exclusive {
        let message = "classes exclude each other in one of these runs and share pixels in the other: their labels cannot be compared";
        return Err(Fatal::new(Exit::BadJob, message));
    }
    let nights = Nights { before, after };
    let compared = tokio.block_on(nights.compare_all())?;
    let found = difference(&nights.before.night, &nights.after.night, &compared);
    if let Some(folder) = &args.html {
        let pictures = tokio.block_on(nights.pictures(&found, folder))?;
        write_page(&nights.after.night.name, &found, &pictures, folder)?;
    }
    match args.format {
        Format::Json => say::data(&serde_json::to_string_pretty(&found).unwrap_or_default()),
        Format::Text => say::data(&text(&found, args.list)),
    }
    if let Some(folder) = &args.html {
        say::note(&format!("page: {}", folder.join("index.html").display()));
    }
    Ok(Exit::Done)
}

/// The files of the two nights.
fn nights(args: &DiffArgs, storage: &Storage) -> Result<[String; 2], Fatal> {
    let Some(after) = &args.after else {
        let folder = args.before.trim_end_matches('/');
        if has_ending(folder) {
            return Err(Fatal::new(
                Exit::BadConfig,
                "two runs are compared: name the later one too, or a folder of runs",
            ));
        }
        let listed = storage.files.list(folder);
        let listed = listed.map_err(|error| Fatal::of_file(&error, &error))?;
        let mut names: Vec<String> = listed
            .into_iter()
            .map(|listed| listed.relative)
            .filter(|name| has_ending(name) && !name.contains('/'))
            .collect();
        names.sort_unstable();
        let [.., before, after] = names.as_slice() else {
            let message = format!(
                "{folder} holds {} of a job: two are compared. A job keeps them with `nights: {{keep: 30}}`, in nights/NAME of its store",
                if names.is_empty() { "no run".to_owned() } else { format!("one run ({})", names[0]) }
            );
            return Err(Fatal::new(Exit::BadConfig, message));
        };
        let place = |name: &String| join(&format!("{folder}/"), name);
        return Ok([place(before), place(after)]);
    };
    Ok([args.before.clone(), after.clone()])
}

fn has_ending(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "json")
}

/// A night, and the store that it lies in.
struct StoredNight {
    night: Night,
    store: Arc<dyn ObjectStore>,
}

impl StoredNight {
    fn open(uri: &str, storage: &Storage, tokio: &tokio::runtime::Runtime) -> Result<Self, Fatal> {
        let bytes = storage.files.read(uri).map_err(|error| Fatal::of_file(&error, &error))?;
        let night =
            Night::from_bytes(&bytes).map_err(|error| Fatal::new(Exit::BadJob, format!("{uri}: {error}")))?;
        let whole = if is_uri(uri) {
            uri.to_owned()
        } else {
            Path::new(uri).canonicalize().map_or_else(|_| uri.to_owned(), |path| path.display().to_string())
        };
        let Some((root, _)) = whole.rsplit_once("/nights/") else {
            let message =
                format!("{uri} does not lie in nights/NAME of a job's store, beside which its labels are");
            return Err(Fatal::new(Exit::BadConfig, message));
        };
        let store =
            tokio.block_on(storage.stores.open_now(root)).map_err(|error| Fatal::of_named_store(&error))?;
        Ok(Self { night, store })
    }

    /// The stored labels of an image, or why there are none.
    async fn labels(&self, image: &NightImage) -> Result<Result<Vec<u8>, String>, Fatal> {
        match self.store.get(&self.night.labels_key(image)).await {
            Ok(bytes) => Ok(Ok(bytes.into())),
            Err(error) if error.kind == StoreErrorKind::NotFound => {
                Ok(Err(format!("its labels of {} are not kept any more", self.night.at)))
            }
            Err(error) => Err(Fatal::of_store(&error)),
        }
    }
}

struct Nights {
    before: StoredNight,
    after: StoredNight,
}

impl Nights {
    /// What became of the pixels of each image that has another result.
    async fn compare_all(&self) -> Result<BTreeMap<String, Result<Flips, String>>, Fatal> {
        let changed =
            pairs(&self.before.night, &self.after.night).into_iter().filter_map(|pair| match pair {
                Pair::Changed(before, after) => Some((before, after)),
                _ => None,
            });
        let mut all = BTreeMap::new();
        let mut found = stream::iter(changed)
            .map(|(before, after)| self.compare_one(before, after))
            .buffer_unordered(AT_ONCE);
        while let Some(one) = found.next().await {
            let (id, flips) = one?;
            all.insert(id, flips);
        }
        Ok(all)
    }

    async fn compare_one(
        &self,
        before: &NightImage,
        after: &NightImage,
    ) -> Result<(String, Result<Flips, String>), Fatal> {
        let found = self.compare(before, after, false).await?;
        Ok((after.id.clone(), found.map(|(flips, _)| flips)))
    }

    /// What became of the pixels of an image, and with `shown` a picture of it; or why that is not known.
    async fn compare(
        &self,
        before: &NightImage,
        after: &NightImage,
        shown: bool,
    ) -> Result<Result<(Flips, Option<Vec<u8>>), String>, Fatal> {
        if self.before.night.labels_key(before) == self.after.night.labels_key(after) {
            return Ok(Err("it was made anew in the place of what was there".to_owned()));
        }
        let (then, now) = (self.before.labels(before).await?, self.after.labels(after).await?);
        let (then, now) = match (then, now) {
            (Ok(then), Ok(now)) => (then, now),
            (Err(reason), _) | (_, Err(reason)) => return Ok(Err(reason)),
        };
        let AllClasses { list, places } = self.after.night.classes_with(&self.before.night);
        let exclusive = self.after.night.exclusive;
        let work = move || {
            let colours: Vec<[u8; 3]> = list.iter().map(|class| class.colour).collect();
            let shown = shown.then_some(Shown { colours: &colours });
            let places = [places[0].as_slice(), places[1].as_slice()];
            compare_labels([then, now], places, (list.len(), exclusive), shown)
                .map_err(|error| error.to_string())
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Fatal::new(Exit::Bug, format!("a bug: comparing labels panicked: {error}")))
    }

    /// Writes the pictures of the images that changed most; their paths below `folder`, in the order of the list.
    async fn pictures(&self, found: &Difference, folder: &Path) -> Result<Vec<Option<String>>, Fatal> {
        let place = folder.join(PICTURES);
        std::fs::create_dir_all(&place).map_err(|error| unwritable(&place, &error))?;
        let of = |pair| match pair {
            Pair::Changed(before, after) => Some((after.id.as_str(), (before, after))),
            _ => None,
        };
        let changed: HashMap<&str, _> =
            pairs(&self.before.night, &self.after.night).into_iter().filter_map(of).collect();
        let mut pictures = Vec::new();
        for (number, image) in
            found.listed.iter().filter(|image| image.what == "changed").take(PICTURES_MAX).enumerate()
        {
            let pair = changed.get(image.id.as_str()).filter(|_| image.changed_pixels.is_some());
            let Some(&(before, after)) = pair else {
                pictures.push(None);
                continue;
            };
            let picture = self.compare(before, after, true).await?.ok().and_then(|(_, picture)| picture);
            let name = format!("{number:06}.png");
            if let Some(picture) = &picture {
                let path = place.join(&name);
                std::fs::write(&path, picture).map_err(|error| unwritable(&path, &error))?;
            }
            pictures.push(picture.map(|_| format!("{PICTURES}/{name}")));
        }
        Ok(pictures)
    }
}

fn write_page(
    name: &str,
    found: &Difference,
    pictures: &[Option<String>],
    folder: &Path,
) -> Result<(), Fatal> {
    let json = serde_json::to_vec_pretty(found).unwrap_or_default();
    for (file, bytes) in [
        ("index.html", page(name, found, pictures).into_bytes()),
        ("images.csv", table(found)),
        ("difference.json", json),
    ] {
        let path = folder.join(file);
        std::fs::write(&path, bytes).map_err(|error| unwritable(&path, &error))?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Fatal {
    Fatal::new(Exit::Unavailable, format!("cannot write {}: {error}", path.display()))
}
