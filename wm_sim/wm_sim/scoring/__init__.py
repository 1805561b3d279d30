"""What a drive is worth: one score an episode, and the figures of many with their intervals.

* driving score of CARLA leaderboard 2.1 (carla.py), closed-loop score of nuPlan (nuplan.py)
* success: the route completed in time without a collision, without leaving the road, without a red light
* at fault by nuPlan's classes of collision (contact.py)
* six bounds of comfort (comfort.py), smallest time to collision (ttc.py), share of RSS violations (rss.py)
* Wilson intervals (intervals.py)
"""

from wm_sim.scoring.episode import EpisodeScore, Scorer, score_episode
from wm_sim.scoring.intervals import wilson
from wm_sim.scoring.sample import Sample, Surroundings, sample_of
from wm_sim.scoring.summary import summarise

__all__ = ["EpisodeScore", "Sample", "Scorer", "Surroundings", "sample_of", "score_episode", "summarise", "wilson"]
