// The choosers there are; each in a file of its own.
#pragma once

#include <memory>

#include "tuner/search/chooser.h"

namespace duet {

// Moves to the first neighbour that is faster; starts anew at random where none is left.
std::unique_ptr<Chooser> make_local_search();
// Around the fastest found so far, a parameter or two away.
std::unique_ptr<Chooser> make_elite_search();
// Moves to slower neighbours too, the less the cooler; is heated again when it gets stuck.
std::unique_ptr<Chooser> make_annealing();
// Crosses two of the fastest, changes a little, takes the valid configuration nearest to that.
std::unique_ptr<Chooser> make_genetic_search();
// Moves each of a population by differences of others, in ranks.
std::unique_ptr<Chooser> make_differential_evolution();
// Fits trees to what is known and takes what they expect to be fast, or know little of.
std::unique_ptr<Chooser> make_surrogate_search();
// Takes what the cost model expects to be fast, corrected by how far it was off for similar ones. For spaces with
// predictions.
std::unique_ptr<Chooser> make_residual_search();
// Lends its trials to several of these by what each brought lately. Begins with a sample spread over the space, or,
// where there are predictions, with what the search by residuals takes.
std::unique_ptr<Chooser> make_portfolio();

}  // namespace duet
