#include "job/stats.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include "bus/leases.h"
#include "bus/nats.h"
#include "bus/registry.h"
#include "daemon/stats.h"
#include "job/reader.h"
#include "job/router.h"

namespace encke::job {

namespace {

std::string Label(std::string_view name, std::string_view value) {
  std::string out(name);
  out += "=\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + '"';
}

void WriteEntries(MetricsWriter& out, const Stats& stats) {
  const char* routed = "log entries routed, by kind";
  out.Count("encke_job_entries_read_total", "log entries read", "", Value(stats.read));
  out.Count("encke_job_entries_malformed_total", "log entries that are no push", "",
            Value(stats.malformed));
  out.Count("encke_job_entries_skipped_total",
            "log entries of all partitions that were gone before a partition could be read", "",
            Value(stats.skipped));
  out.Count("encke_job_new_logs_total", "times a partition's log turned out to be another one", "",
            Value(stats.new_logs));
  out.Count("encke_job_routed_total", routed, "kind=\"push\"", Value(stats.pushes));
  out.Count("encke_job_routed_total", routed, "kind=\"room\"", Value(stats.rooms));
  out.Count("encke_job_routed_total", routed, "kind=\"broadcast\"", Value(stats.broadcasts));
  out.Count("encke_job_unroutable_total", "pushes to a comet that is not in the registry", "",
            Value(stats.unroutable));
}

void WriteSequence(MetricsWriter& out, const sequence::SequencerCounts& counts) {
  const char* help = "what was found about the order of timelines";
  const auto add = [&](const char* event, const Counter& counter) {
    out.Count("encke_job_timeline_total", help, Label("event", event), Value(counter));
  };
  add("gap", counts.gaps);
  add("filled", counts.filled);
  add("hole", counts.holes);
  add("late", counts.late);
  add("repeat", counts.repeats);
  add("looked_back", counts.looked_back);
  add("read_failure", counts.read_failures);
  add("forgotten", counts.forgotten);
}

void WriteDeliveries(MetricsWriter& out, const Stats& stats) {
  out.Count("encke_job_deliveries_total", "entries given to a comet's stream", "",
            Value(stats.deliveries));
  out.Count("encke_job_acked_total", "entries a comet took over", "", Value(stats.acked));
  out.Count("encke_job_resent_total", "entries sent again after a reconnect", "",
            Value(stats.resent));
  out.Count("encke_job_left_behind_total", "entries a stuck comet did not get", "",
            Value(stats.left_behind));
  out.Count("encke_job_undeliverable_total", "entries whose comet went or was restarted", "",
            Value(stats.undeliverable));
  out.Count("encke_job_not_concerned_total", "entries that waited for a room not on that comet", "",
            Value(stats.not_concerned));
  WriteSequence(out, stats.sequence);
  out.Count("encke_job_fenced_total", "entries dropped with their partition's lease", "",
            Value(stats.fenced));
  out.Count("encke_job_doubts_given_up_total",
            "entries a comet did not want, forgotten before that was proved", "",
            Value(stats.doubts_given_up));
  out.Count("encke_job_streams_closed_total", "streams to comets that ended", "",
            Value(stats.streams_closed));
  out.Spread("encke_job_ack_seconds", "queued for a comet to acknowledged by it", "", stats.ack_us,
             1e-6);
  out.Spread("encke_job_route_seconds", "accepted by logic to queued for the comets", "",
             stats.route_us, 1e-6);
  out.Spread("encke_job_batch_entries", "entries in one message to a comet", "", stats.batch, 1);
}

void WritePartitions(MetricsWriter& out, const Readers& readers) {
  const auto views = readers.views();
  out.Level("encke_job_leases", "partitions this job reads", "", static_cast<double>(views.size()));
  for (const ReaderView& view : views) {
    out.Level("encke_job_partition_lag", "entries behind the newest",
              Label("partition", std::to_string(view.partition)), static_cast<double>(view.lag));
  }
  for (const ReaderView& view : views) {
    out.Level("encke_job_partition_checkpoint", "everything up to it is acknowledged",
              Label("partition", std::to_string(view.partition)),
              static_cast<double>(view.checkpoint));
  }
}

void WriteLinks(MetricsWriter& out, const Router& router) {
  const auto views = router.views();
  const auto row = [&](const char* name, const char* help, auto value) {
    for (const LinkView& view : views)
      out.Level(name, help, Label("comet", view.comet), static_cast<double>(value(view)));
  };
  row("encke_job_link_up", "1: the stream is open and the comet's rooms are known",
      [](const LinkView& view) { return view.up ? 1 : 0; });
  row("encke_job_link_left_behind", "1: stuck, entries for it are dropped",
      [](const LinkView& view) { return view.left_behind ? 1 : 0; });
  row("encke_job_link_queue_bytes", "not acknowledged yet",
      [](const LinkView& view) { return view.bytes; });
  row("encke_job_link_queue_entries", "not acknowledged yet",
      [](const LinkView& view) { return view.entries; });
  row("encke_job_link_rooms", "rooms that have members there",
      [](const LinkView& view) { return view.rooms; });
}

}  // namespace

std::string MetricsText(const Parts& parts) {
  MetricsWriter out;
  WriteEntries(out, parts.stats);
  WriteDeliveries(out, parts.stats);
  WritePartitions(out, parts.readers);
  WriteLinks(out, parts.router);
  daemon::WriteNats(out, "job", parts.nats);
  return out.Take();
}

std::string WhyUnready(const Parts& parts) {
  if (!parts.nats.connected()) return "NATS is not connected";
  if (!parts.registry.synced()) return "the registry is not known yet";
  const std::size_t jobs = std::max<std::size_t>(parts.registry.List("job").size(), 1);
  const std::size_t share = static_cast<std::size_t>(parts.partitions) / jobs;
  const auto reading = parts.readers.views();
  if (reading.size() < share) {
    return fmt::format("reading {} partitions, our share is {}", reading.size(), share);
  }
  for (const ReaderView& view : reading) {
    if (!view.open) return fmt::format("partition {} is not open", view.partition);
  }
  for (const LinkView& view : parts.router.views()) {
    if (!view.up) return "no stream to comet " + view.comet;
  }
  return "";
}

}  // namespace encke::job
