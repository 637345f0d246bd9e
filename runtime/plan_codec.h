// Values of a plan as the plan store's columns hold them: numbers, names of enumerators, bytes, and JSON for small
// lists.
#pragma once

#include "runtime/plan.h"
#include "runtime/plan_point.h"
#include "runtime/sqlite.h"

namespace duet {

// Throw Error(input) on what a column cannot hold: more than 63 bits, text that is not UTF-8.
SqlValue encode(int value);
SqlValue encode(bool value);  // 0 or 1
SqlValue encode(std::uint32_t value);
SqlValue encode(std::int64_t value);
SqlValue encode(std::uint64_t value);
SqlValue encode(double value);  // NaN becomes NULL
SqlValue encode(const std::string& value);
SqlValue encode(const std::vector<std::byte>& value);
SqlValue encode(Dtype value);
SqlValue encode(Provenance value);
SqlValue encode(ExecutionMode value);
SqlValue encode(RecipeKind value);
SqlValue encode(const std::vector<int>& value);
SqlValue encode(const std::vector<std::int64_t>& value);
SqlValue encode(const std::vector<double>& value);
SqlValue encode(const std::vector<Relocation>& value);
SqlValue encode(const std::vector<StreamShare>& value);
SqlValue encode(const std::vector<PlanPoint>& value);
SqlValue encode(const WeightRecipe& value);

// Throw Error(input) when the column holds something else.
void decode(SqlValue&& column, int& value);
void decode(SqlValue&& column, bool& value);
void decode(SqlValue&& column, std::int64_t& value);
void decode(SqlValue&& column, std::uint64_t& value);
void decode(SqlValue&& column, double& value);
void decode(SqlValue&& column, std::string& value);
void decode(SqlValue&& column, std::vector<std::byte>& value);
void decode(SqlValue&& column, Dtype& value);
void decode(SqlValue&& column, Provenance& value);
void decode(SqlValue&& column, ExecutionMode& value);
void decode(SqlValue&& column, std::vector<int>& value);
void decode(SqlValue&& column, std::vector<std::int64_t>& value);
void decode(SqlValue&& column, std::vector<double>& value);
void decode(SqlValue&& column, std::vector<Relocation>& value);
void decode(SqlValue&& column, std::vector<StreamShare>& value);
void decode(SqlValue&& column, std::vector<PlanPoint>& value);
void decode(SqlValue&& column, WeightRecipe& value);

}  // namespace duet
