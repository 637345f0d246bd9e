#include "runtime/plan_rows.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "runtime/store_fields.h"
#include "runtime/store_row.h"

namespace duet {
namespace {

// Appends values so that no two different sequences give the same bytes.
class Digest {
 public:
  void add(const RowWriter& row) {
    for (const SqlValue& value : row.values) add(value);
  }
  void add(const SqlValue& value) {
    text_ += static_cast<char>(value.index());
    if (const auto* number = std::get_if<std::int64_t>(&value)) return append(number, sizeof *number);
    if (const auto* real = std::get_if<double>(&value)) return append(real, sizeof *real);
    if (const auto* text = std::get_if<std::string>(&value)) return append_sized(text->data(), text->size());
    if (const auto* bytes = std::get_if<std::vector<std::byte>>(&value)) append_sized(bytes->data(), bytes->size());
  }
  void add_count(std::size_t count) { append(&count, sizeof count); }
  std::string result() const { return hash_text(text_); }

 private:
  void append(const void* data, std::size_t size) { text_.append(static_cast<const char*>(data), size); }
  void append_sized(const void* data, std::size_t size) {
    add_count(size);
    if (size > 0) append(data, size);
  }
  std::string text_;
};

template <typename Object, typename Fields>
void add_all(Digest& digest, const std::vector<Object>& objects, const Fields& fields) {
  digest.add_count(objects.size());
  for (const Object& object : objects) digest.add(row_of(object, fields));
}

KernelImage without_bytes(const KernelImage& image) {
  KernelImage copy = image;
  copy.bytes.clear();
  return copy;
}

// The id of the row with these values, which is added when it is not there.
std::int64_t find_or_insert(const Database& database, std::string_view table, const RowWriter& row) {
  Statement statement = database.prepare(fmt::format("SELECT id FROM {} WHERE {}", table, equals_clause(row)));
  for (const SqlValue& value : row.values) statement.bind(value);
  return statement.step() ? statement.integer(0) : insert_row(database, table, row);
}

template <typename Object, typename Fields>
std::int64_t insert_part(const Database& database, std::string_view table, std::string_view owner,
                         std::int64_t owner_id, std::size_t position, const Object& object, const Fields& fields) {
  RowWriter row;
  row(owner, owner_id);
  row("position", static_cast<std::int64_t>(position));
  fields(row, object);
  return insert_row(database, table, row);
}

template <typename Object, typename Fields>
std::vector<Object> read_parts(const Database& database, std::string_view table, std::string_view condition,
                               std::int64_t owner_id, const Fields& fields) {
  Statement statement = database.prepare(
      fmt::format("SELECT {} FROM {} WHERE {} ORDER BY position", columns_of<Object>(fields), table, condition));
  statement.bind(owner_id);
  std::vector<Object> objects;
  while (statement.step()) {
    RowReader reader(statement, database.name());
    fields(reader, objects.emplace_back());
  }
  return objects;
}

void insert_kernels(const Database& database, std::int64_t id, const Plan& plan) {
  for (std::size_t i = 0; i < plan.kernels.size(); ++i) {
    const PlanKernel& kernel = plan.kernels[i];
    const std::int64_t kernel_id = insert_part(database, "kernels", "plan_id", id, i, kernel, kKernelFields);
    for (std::size_t j = 0; j < kernel.images.size(); ++j)
      insert_part(database, "images", "kernel_id", kernel_id, j, kernel.images[j], kImageFields);
  }
}

void insert_tensors(const Database& database, std::int64_t id, std::string_view role,
                    const std::vector<PlanTensor>& tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    RowWriter row;
    row("plan_id", id);
    row("role", std::string(role));
    row("position", static_cast<std::int64_t>(i));
    kTensorFields(row, tensors[i]);
    insert_row(database, "tensors", row);
  }
}

void insert_latency(const Database& database, std::int64_t id, const Plan& plan, std::string_view created) {
  if (plan.figures.latency_us_samples.empty()) return;
  RowWriter row;
  row("plan_id", id);
  row("provenance", plan.provenance);
  row("environment", plan.figures.environment);
  row("recorded", std::string(created));
  row("samples_us", plan.figures.latency_us_samples);
  insert_row(database, "measurements", row);
}

std::int64_t insert_header(const Database& database, const Plan& plan, std::string_view created) {
  const std::int64_t graph = find_or_insert(database, "graphs", row_of(plan.key, kGraphFields));
  const std::int64_t device = find_or_insert(database, "devices", row_of(plan.key.device, kDeviceFields));
  RowWriter key;
  key("graph_id", graph);
  key("device_id", device);
  kPlanKeyFields(key, plan.key);
  Statement old = database.prepare(fmt::format("DELETE FROM plans WHERE {}", equals_clause(key)));
  for (const SqlValue& value : key.values) old.bind(value);
  old.step();

  kPlanFields(key, plan);
  kStreamFields(key, plan);
  kObjectiveFields(key, plan);
  key("created", std::string(created));
  key("digest", plan_digest(plan));
  return insert_row(database, "plans", key);
}

// Returns the stored digest.
std::string read_header(const Database& database, std::int64_t id, Plan& plan) {
  Statement statement = database.prepare(fmt::format(
      "SELECT digest, graph_id, device_id, {}, {}, {}, {} FROM plans WHERE id = ?", columns_of<PlanKey>(kPlanKeyFields),
      columns_of<Plan>(kPlanFields), columns_of<Plan>(kStreamFields), columns_of<Plan>(kObjectiveFields)));
  statement.bind(id);
  if (!statement.step()) fail(ErrorKind::input, "{}: holds no plan {}", database.name(), id);
  RowReader reader(statement, database.name());
  std::string digest;
  std::int64_t graph = 0, device = 0;
  reader("digest", digest);
  reader("graph_id", graph);
  reader("device_id", device);
  kPlanKeyFields(reader, plan.key);
  kPlanFields(reader, plan);
  kStreamFields(reader, plan);
  kObjectiveFields(reader, plan);

  const auto read_referenced = [&](std::string_view table, std::int64_t row_id, auto& object, const auto& fields,
                                   const std::string& columns) {
    Statement referenced = database.prepare(fmt::format("SELECT {} FROM {} WHERE id = ?", columns, table));
    referenced.bind(row_id);
    if (!referenced.step()) fail(ErrorKind::input, "{}: plan {} refers to no row of {}", database.name(), id, table);
    RowReader referenced_reader(referenced, database.name());
    fields(referenced_reader, object);
  };
  read_referenced("graphs", graph, plan.key, kGraphFields, columns_of<PlanKey>(kGraphFields));
  read_referenced("devices", device, plan.key.device, kDeviceFields, columns_of<DeviceFingerprint>(kDeviceFields));
  return digest;
}

void read_kernels(const Database& database, std::int64_t id, Plan& plan) {
  plan.kernels = read_parts<PlanKernel>(database, "kernels", "plan_id = ?", id, kKernelFields);
  Statement ids = database.prepare("SELECT id FROM kernels WHERE plan_id = ? ORDER BY position");
  ids.bind(id);
  for (PlanKernel& kernel : plan.kernels) {
    if (!ids.step()) break;
    kernel.images = read_parts<KernelImage>(database, "images", "kernel_id = ?", ids.integer(0), kImageFields);
  }
}

void read_latency(const Database& database, std::int64_t id, Plan& plan) {
  Statement statement =
      database.prepare("SELECT samples_us FROM measurements WHERE plan_id = ? ORDER BY id DESC LIMIT 1");
  statement.bind(id);
  if (!statement.step()) return;
  RowReader reader(statement, database.name());
  reader("samples_us", plan.figures.latency_us_samples);
}

}  // namespace

Plan storable_plan(const Plan& plan) {
  Plan copy = plan;
  for (PlanKernel& kernel : copy.kernels)
    std::erase_if(kernel.images, [](const KernelImage& image) { return image.arch == "host"; });
  return copy;
}

std::string plan_digest(const Plan& plan) {
  Digest digest;
  digest.add(row_of(plan.key, kGraphFields, kPlanKeyFields));
  digest.add(row_of(plan.key.device, kDeviceFields));
  digest.add(row_of(plan, kPlanFields));
  digest.add(encode(plan.figures.latency_us_samples));
  add_all(digest, plan.kernels, kKernelFields);
  for (const PlanKernel& kernel : plan.kernels) {
    digest.add_count(kernel.images.size());
    for (const KernelImage& image : kernel.images) digest.add(row_of(without_bytes(image), kImageFields));
  }
  add_all(digest, plan.steps, kStepFields);
  add_all(digest, plan.weights, kWeightFields);
  add_all(digest, plan.inputs, kTensorFields);
  add_all(digest, plan.outputs, kTensorFields);
  // Plans from before choices, shares and objectives were recorded keep their digest.
  if (!plan.choices.empty()) add_all(digest, plan.choices, kChoiceFields);
  if (!plan.streams.empty()) digest.add(row_of(plan, kStreamFields));
  if (plan.figures.energy_mj != 0 || !plan.figures.objective.empty()) digest.add(row_of(plan, kObjectiveFields));
  return digest.result();
}

void check_images(const Plan& plan) {
  for (const PlanKernel& kernel : plan.kernels)
    for (const KernelImage& image : kernel.images)
      if (hash_bytes(image.bytes) != image.hash)
        fail(ErrorKind::input,
             "kernel '{}': the image for {} is damaged: its bytes do not match their hash; tune again", kernel.entry,
             image.arch);
}

bool is_preferred(const Database& database, std::int64_t id) {
  Statement statement = database.prepare("SELECT preferred FROM plans WHERE id = ?");
  statement.bind(id);
  return statement.step() && statement.integer(0) != 0;
}

void set_preferred(const Database& database, std::int64_t id, bool preferred) {
  Statement statement = database.prepare("UPDATE plans SET preferred = ? WHERE id = ?");
  statement.bind(std::int64_t{preferred}).bind(id);
  statement.step();
}

std::int64_t insert_plan(const Database& database, const Plan& plan, std::string_view created) {
  const std::int64_t id = insert_header(database, plan, created);
  insert_kernels(database, id, plan);
  for (std::size_t i = 0; i < plan.steps.size(); ++i)
    insert_part(database, "steps", "plan_id", id, i, plan.steps[i], kStepFields);
  for (std::size_t i = 0; i < plan.weights.size(); ++i)
    insert_part(database, "weights", "plan_id", id, i, plan.weights[i], kWeightFields);
  for (std::size_t i = 0; i < plan.choices.size(); ++i)
    insert_part(database, "choices", "plan_id", id, i, plan.choices[i], kChoiceFields);
  insert_tensors(database, id, "input", plan.inputs);
  insert_tensors(database, id, "output", plan.outputs);
  insert_latency(database, id, plan, created);
  return id;
}

Plan read_plan(const Database& database, std::int64_t id) {
  Plan plan;
  const std::string digest = read_header(database, id, plan);
  read_kernels(database, id, plan);
  plan.steps = read_parts<PlanStep>(database, "steps", "plan_id = ?", id, kStepFields);
  plan.weights = read_parts<PlanWeight>(database, "weights", "plan_id = ?", id, kWeightFields);
  plan.inputs = read_parts<PlanTensor>(database, "tensors", "role = 'input' AND plan_id = ?", id, kTensorFields);
  plan.outputs = read_parts<PlanTensor>(database, "tensors", "role = 'output' AND plan_id = ?", id, kTensorFields);
  plan.choices = read_parts<KernelChoice>(database, "choices", "plan_id = ?", id, kChoiceFields);
  read_latency(database, id, plan);
  try {
    if (plan_digest(plan) != digest)
      fail(ErrorKind::input, "plan {} is damaged: its rows do not match their digest; tune again", id);
    check_images(plan);
    validate_plan(plan);
  } catch (const Error& error) {
    fail(error.kind(), "{}: {}", database.name(), error.what());
  }
  return plan;
}

}  // namespace duet
