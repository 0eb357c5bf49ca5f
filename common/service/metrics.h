// SPDX-License-Identifier: Apache-2.0
// Prometheus metrics of one process, behind a header that shows none of prometheus-cpp.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace assay::service {

using MetricLabels = std::map<std::string, std::string>;

/// Handles stay good as long as their Metrics; copy them freely. Thread-safe.
class Counter {
 public:
  explicit Counter(prometheus::Counter& counter) : counter_(&counter) {}
  void add(double amount = 1);
  /// For what is counted elsewhere: `total` so far; a smaller one than before changes nothing.
  void raise_to(double total);
  double value() const;

 private:
  prometheus::Counter* counter_;
};

class Gauge {
 public:
  explicit Gauge(prometheus::Gauge& gauge) : gauge_(&gauge) {}
  void set(double value);
  void add(double amount);
  double value() const;

 private:
  prometheus::Gauge* gauge_;
};

class Histogram {
 public:
  explicit Histogram(prometheus::Histogram& histogram) : histogram_(&histogram) {}
  void observe(double value);

 private:
  prometheus::Histogram* histogram_;
};

/// All metrics of one process. Asking twice for one name and labels gives the same metric; names
/// and labels are ours, never a container's (a wrong one aborts). Thread-safe.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// `name` ends in _total.
  Counter counter(const std::string& name, const std::string& help,
                  const MetricLabels& labels = {});
  Gauge gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  /// `bounds`: upper bounds of the buckets, ascending.
  Histogram histogram(const std::string& name, const std::string& help,
                      const std::vector<double>& bounds, const MetricLabels& labels = {});

  /// Text exposition format 0.0.4.
  std::string to_text() const;

 private:
  struct Registry;
  std::unique_ptr<Registry> registry_;
};

}  // namespace assay::service
