//! A job during which things go wrong at random moments: which things, and what must hold in spite of them.

use crate::cluster::job::{self, IMAGES};
use crate::cluster::role::{Role, Signal, until};
use crate::cluster::ruled_s3::{Rule, RuledS3};
use crate::cluster::setup::{Cluster, Kept};
use crate::cluster::view::wait;
use crate::pictures::Dice;
use marquetry_transport::Topic;
use std::collections::BTreeMap;
use std::time::Duration;

/// Blows of one storm. After them the weather clears, so that the job can end.
const BLOWS: usize = 10;
/// Tiles of one storm that go or are damaged: an image is given up when its tiles are found damaged as often as it may be
/// tried.
const TILES_HIT_MAX: u32 = 2;
/// The list of a job grows by so many images at most while it runs.
const LATE_MAX: u64 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Worker,
    Aggregator,
    Coordinator,
}

const KINDS: [Kind; 5] = [Kind::Coordinator, Kind::Worker, Kind::Worker, Kind::Aggregator, Kind::Aggregator];

impl Kind {
    fn start(self, cluster: &mut Cluster) -> Role {
        match self {
            Self::Worker => cluster.worker(),
            Self::Aggregator => cluster.aggregator(),
            Self::Coordinator => cluster.coordinator("job.yaml"),
        }
    }

    /// Fails the test if a role has ended with a code that lies. Nothing that a storm brings is the fault of an image, and
    /// all of it passes but a store without room or rights, which is said.
    fn has_ended_well(self, role: &Role, had: Had) {
        let well = match role.code() {
            // Killed by the test; asked to stop, or done.
            None | Some(0) => true,
            // Another coordinator has taken over, or it was asked to stop.
            Some(75) => self == Self::Coordinator,
            Some(69) => had.no_room,
            Some(78) => had.no_rights,
            Some(_) => false,
        };
        assert!(well, "a {self:?} has ended with {:?}:\n{}", role.code(), role.said());
    }
}

/// What a store had in a storm that is not to be forgotten.
#[derive(Debug, Clone, Copy, Default)]
struct Had {
    /// For a moment: roles may end for it.
    no_room: bool,
    /// For a moment: roles may end for it.
    no_rights: bool,
    lost_outputs: bool,
}

/// What storms have brought, and how often.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    pub(crate) blows: BTreeMap<String, usize>,
    /// Requests to the store that were refused.
    pub(crate) refused: u64,
}

impl Brought {
    pub(crate) fn blows(&self) -> usize {
        self.blows.values().sum()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (blow, times) in &other.blows {
            *self.blows.entry(blow.clone()).or_default() += times;
        }
        self.refused += other.refused;
    }
}

/// Lets a storm go over a cluster. Roles are killed, asked to stop or held up and started again; workers come that are not
/// fit or have no rights; tasks and results are purged; stored tiles go or are damaged; the list of images grows; a
/// bucket refuses some requests, is full for a moment, or lets nobody in. Fails the test unless the outputs are the
/// bytes of `marquetry run` in the end, and no exit code has lied. `None` where there are no services.
pub(crate) fn storm(kept: Kept, seed: u64) -> Option<Brought> {
    eprintln!("a storm over a cluster that is kept {kept:?}: MARQUETRY_SEED={seed}");
    let mut storm = Storm::gather(kept, seed)?;
    while storm.brought.blows() < BLOWS && !storm.is_over() {
        // The moments are what is random here; nothing is waited for.
        std::thread::sleep(Duration::from_secs_f64(storm.dice.between(0.05, 0.8)));
        storm.blow();
        storm.start_again();
    }
    Some(storm.clear())
}

/// The way to a bucket.
struct Bucket {
    busy: RuledS3,
    /// It refuses each so manieth request for being busy.
    every: u64,
    takes_no_tiles: RuledS3,
}

impl Bucket {
    fn before(s3: &str, every: u64) -> Self {
        let expired = Rule::refuse("PUT", "/tiles/", 403, "ExpiredToken");
        let busy = RuledS3::new(s3, Vec::new());
        let bucket = Self { busy, every, takes_no_tiles: RuledS3::new(s3, vec![expired]) };
        bucket.refuse(None);
        bucket
    }

    /// From now on it is busy, and refuses what `more` says.
    fn refuse(&self, more: Option<Rule>) {
        let busy = Rule::refuse("", "", 503, "SlowDown").every(self.every);
        self.busy.set(more.into_iter().chain([busy]).collect());
    }
}

struct Storm {
    dice: Dice,
    /// One for each of [`KINDS`].
    roles: Vec<Role>,
    /// Workers that have no right to store what they compute.
    without_rights: Vec<Role>,
    /// Coordinators that another one was started beside.
    overtaken: Vec<Role>,
    bucket: Option<Bucket>,
    tiles_hit: u32,
    /// Images that are not in the list yet.
    late: Vec<u64>,
    had: Had,
    brought: Brought,
    /// It goes last: what roles have said lies in its folder.
    cluster: Cluster,
}

impl Storm {
    fn gather(kept: Kept, seed: u64) -> Option<Self> {
        let mut dice = Dice::new(seed);
        let mut cluster = Cluster::start(kept)?;
        let bucket = (kept == Kept::InBucket).then(|| Bucket::before(&cluster.s3, 7 + dice.next() % 20));
        if let Some(bucket) = &bucket {
            cluster.s3.clone_from(&bucket.busy.url);
        }
        // New ones come first in the list, last, or in its midst.
        let (count, first) = (dice.next() % (LATE_MAX + 1), dice.next());
        let late: Vec<u64> = (0..count).map(|n| (first + 2 * n) % IMAGES).collect();
        for image in &late {
            job::take_image(&cluster.place, *image);
        }
        let roles = KINDS.iter().map(|kind| kind.start(&mut cluster)).collect();
        Some(Self {
            cluster,
            dice,
            roles,
            without_rights: Vec::new(),
            overtaken: Vec::new(),
            bucket,
            tiles_hit: 0,
            late,
            had: Had::default(),
            brought: Brought::default(),
        })
    }

    /// One thing that goes wrong.
    fn blow(&mut self) {
        let what = match self.dice.next() % 20 {
            0 => Some(self.unfit()),
            1 => self.without_rights(),
            2 => self.full(),
            3 => self.no_rights_for_all(),
            4 => self.purge(Topic::Tasks),
            5 => self.purge(Topic::Results),
            6 => self.purge(Topic::Aggregate),
            7 => self.grow(),
            8 | 9 => self.hit_a_tile(),
            10 | 11 => self.lose_an_object(),
            _ => None,
        };
        let what = what.unwrap_or_else(|| self.hit_a_role());
        *self.brought.blows.entry(what).or_default() += 1;
    }

    fn hit_a_role(&mut self) -> String {
        let at = self.dice.next() as usize % self.roles.len();
        let (kind, role) = (KINDS[at], &mut self.roles[at]);
        let what = match self.dice.next() % 5 {
            0 => {
                role.signal(Signal::STOP);
                std::thread::sleep(Duration::from_secs_f64(self.dice.between(0.1, 1.5)));
                role.signal(Signal::CONT);
                "held up"
            }
            1 => {
                role.signal(Signal::TERM);
                role.until_it_ends();
                "asked to stop"
            }
            _ => {
                role.kill9();
                "killed"
            }
        };
        format!("{kind:?} {what}")
    }

    /// A worker that cannot keep a file: it says so and ends before it takes anything.
    fn unfit(&mut self) -> String {
        self.cluster.worker_with(&["--cache", "/proc/no-cache"]).end().ends_with(69);
        "unfit worker".to_owned()
    }

    /// A worker more, whose right to store tiles has expired. It ends of itself once it has found out.
    fn without_rights(&mut self) -> Option<String> {
        let bucket = self.bucket.as_ref()?;
        let direct = std::mem::replace(&mut self.cluster.s3, bucket.takes_no_tiles.url.clone());
        self.without_rights.push(self.cluster.worker());
        self.cluster.s3 = direct;
        Some("worker without rights".to_owned())
    }

    /// The bucket refuses with a rule, for a moment.
    fn for_a_moment(&mut self, rule: Rule) -> Option<()> {
        let bucket = self.bucket.as_ref()?;
        bucket.refuse(Some(rule));
        std::thread::sleep(Duration::from_secs_f64(self.dice.between(0.2, 1.5)));
        bucket.refuse(None);
        Some(())
    }

    fn full(&mut self) -> Option<String> {
        self.for_a_moment(Rule::refuse("PUT", "", 507, "XMinioStorageFull"))?;
        self.had.no_room = true;
        Some("store full".to_owned())
    }

    fn no_rights_for_all(&mut self) -> Option<String> {
        self.for_a_moment(Rule::refuse("", "", 403, "AccessDenied"))?;
        self.had.no_rights = true;
        Some("rights of all gone".to_owned())
    }

    /// What retention does, to what was read as well as to what was not.
    fn purge(&mut self, topic: Topic) -> Option<String> {
        self.cluster.purge(topic).then(|| format!("{} purged", topic.name()))
    }

    /// The list of images grows, and the job is started again without waiting for the coordinator that is at it.
    fn grow(&mut self) -> Option<String> {
        let image = self.late.pop()?;
        job::give_image(&self.cluster.place, image);
        let newer = Kind::Coordinator.start(&mut self.cluster);
        self.overtaken.push(std::mem::replace(&mut self.roles[0], newer));
        Some("list grown".to_owned())
    }

    /// Takes a stored tile away, or cuts it short.
    fn hit_a_tile(&mut self) -> Option<String> {
        if self.tiles_hit == TILES_HIT_MAX {
            return None;
        }
        let (store, job) = (self.cluster.store(), self.cluster.jobs().into_iter().next()?);
        let tiles = wait(store.list(&marquetry_job::key::tiles(&job))).ok()?;
        let tile = &tiles.get(self.dice.next() as usize % tiles.len().max(1))?.key;
        let what = if self.dice.next().is_multiple_of(2) {
            wait(store.delete(tile)).ok()?;
            "tile gone"
        } else {
            // It may be gone by now, since its image is finished.
            let bytes = wait(store.get(tile)).ok()?;
            wait(store.put(tile, bytes.slice(..bytes.len() / 2))).ok()?;
            "tile cut short"
        };
        self.tiles_hit += 1;
        Some(what.to_owned())
    }

    /// Deletes what the job has stored, as a bucket's rules for old objects do.
    fn lose_an_object(&mut self) -> Option<String> {
        let (store, job) = (self.cluster.store(), self.cluster.jobs().into_iter().next()?);
        let folder = format!("jobs/{job}/");
        let all = wait(store.list(&folder)).ok()?;
        // Whether what is made of all images together is there is seen by the next run.
        let kinds = ["plans", "specs", "truth", "parts", "run", "out/masks", "out/probabilities"];
        let kind_of = |key: &str| kinds.into_iter().find(|kind| key[folder.len()..].starts_with(kind));
        let lost: Vec<_> =
            all.iter().filter_map(|object| Some((&object.key, kind_of(&object.key)?))).collect();
        let (key, kind) = lost.get(self.dice.next() as usize % lost.len().max(1))?;
        wait(store.delete(key)).ok()?;
        self.had.lost_outputs |= kind.starts_with("out/");
        Some(format!("{kind} gone"))
    }

    /// Whether the job has come to an end that was not one of a list that grows.
    fn is_over(&mut self) -> bool {
        !self.roles[0].is_running() && self.roles[0].code() == Some(0) && self.late.is_empty()
    }

    /// Starts those again that are not running, as whoever watches over them does.
    fn start_again(&mut self) {
        for (kind, role) in KINDS.into_iter().zip(&mut self.roles) {
            if role.is_running() || kind == Kind::Coordinator && role.code() == Some(0) {
                continue;
            }
            kind.has_ended_well(role, self.had);
            *role = kind.start(&mut self.cluster);
        }
        if !self.roles[0].is_running() && !self.late.is_empty() {
            let _ = self.grow();
        }
    }

    /// The weather clears: the job ends, and so does everybody.
    fn clear(mut self) -> Brought {
        while self.grow().is_some() {}
        until("the job is done", || {
            self.start_again();
            self.is_over()
        });
        if self.had.lost_outputs {
            // One that goes while tables are written is seen by the next run.
            self.cluster.coordinate("job.yaml").ends_with(0);
        }
        self.brought.refused =
            self.bucket.as_ref().map_or(0, |b| b.busy.refused() + b.takes_no_tiles.refused());
        eprintln!("it has brought {:?}", self.brought);
        assert!(self.brought.blows() > 0, "the job was over before anything happened");
        self.cluster.has_the_same_bytes();
        for coordinator in &mut self.overtaken {
            coordinator.until_it_ends();
            Kind::Coordinator.has_ended_well(coordinator, self.had);
        }
        for worker in self.without_rights {
            let ran = worker.drain();
            assert!(matches!(ran.code, Some(0 | 78)), "{:?}: {}", ran.code, ran.stderr);
        }
        for (kind, mut role) in KINDS.into_iter().zip(self.roles) {
            role.signal(Signal::TERM);
            role.until_it_ends();
            kind.has_ended_well(&role, self.had);
        }
        self.brought
    }
}
