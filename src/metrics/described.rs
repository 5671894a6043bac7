//! What is said of a metric, once: it is registered, scraped and documented from the same words.
//! Nothing is measured here.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric, MetricEncoder},
    metrics::{MetricType, gauge::ConstGauge},
    registry::{self, Metric, Registry},
};

use super::PREFIX;

/// One metric.
#[derive(Debug)]
pub struct Described {
    /// Its name, without prefix, unit and the ending of its kind.
    pub name: &'static str,
    /// Whose name it is.
    pub family: Family,
    /// What it is.
    pub kind: Kind,
    /// What it is measured in.
    pub unit: Unit,
    /// What tells its series apart.
    pub labels: &'static [Label],
    /// What it means, as a sentence without its full stop.
    pub help: &'static str,
}

/// Whose name a metric has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Ours: it gets our prefix.
    Ours,
    /// One that dashboards know from other programs.
    Known,
    /// Ours, with one series for each object: only with `PER_OBJECT_METRICS`.
    PerObject,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, and starts at 0 with the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many values were at most so large.
    Histogram,
    /// A 1 whose labels say something.
    Info,
}

/// What a metric is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count, or 1 for yes and 0 for no.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// What tells series of a metric apart.
#[derive(Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// What it can be.
    pub values: Values,
}

/// What a label can be.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// One of these words.
    Closed(fn() -> Vec<&'static str>),
    /// Of a kind that has few values, as this says.
    Few(&'static str),
    /// Whatever an object says: as many as there are objects.
    Object(&'static str),
}

impl Described {
    /// The name as it is scraped.
    pub fn full_name(&self) -> String {
        let prefix = match self.family {
            Family::Ours | Family::PerObject => format!("{PREFIX}_"),
            Family::Known => String::new(),
        };
        let unit = match self.unit {
            Unit::None => "",
            Unit::Seconds => "_seconds",
            Unit::Bytes => "_bytes",
        };
        let ending = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{prefix}{}{unit}{ending}", self.name)
    }

    /// Adds what is kept as it is counted.
    pub(super) fn register(&self, registry: &mut Registry, metric: impl Metric) {
        match self.unit() {
            Some(unit) => registry.register_with_unit(self.name, self.help, unit, metric),
            None => registry.register(self.name, self.help, metric),
        }
    }

    /// Writes the one value of what is looked at when it is asked for.
    pub(super) fn put<N>(&self, encoder: &mut DescriptorEncoder<'_>, value: N) -> fmt::Result
    where
        N: EncodeGaugeValue,
    {
        ConstGauge::new(value).encode(self.begin(encoder)?)
    }

    /// Writes one value for each of these labels.
    pub(super) fn put_each<N: EncodeGaugeValue, L: EncodeLabelSet>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        values: impl IntoIterator<Item = (L, N)>,
    ) -> fmt::Result {
        let mut metric = self.begin(encoder)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// The head of the metric.
    pub(super) fn begin<'a>(
        &'a self,
        encoder: &'a mut DescriptorEncoder<'_>,
    ) -> Result<MetricEncoder<'a>, fmt::Error> {
        let kind = match self.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
            Kind::Info => MetricType::Info,
        };
        // The encoder keeps a reference to the unit.
        let unit = match self.unit {
            Unit::None => None,
            Unit::Seconds => Some(&registry::Unit::Seconds),
            Unit::Bytes => Some(&registry::Unit::Bytes),
        };
        encoder.encode_descriptor(self.name, self.help, unit, kind)
    }

    fn unit(&self) -> Option<registry::Unit> {
        match self.unit {
            Unit::None => None,
            Unit::Seconds => Some(registry::Unit::Seconds),
            Unit::Bytes => Some(registry::Unit::Bytes),
        }
    }
}

impl Kind {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

impl Unit {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "–",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
        }
    }
}
