"""Another simulator of social platforms, to judge detection on streams that nothing here was made for.

It was written from the contract of events and what is known of platforms, grooming and trafficking, by somebody who
saw neither the detectors nor `simulation/`, and shares no code with either. No limit, curve or prior is fitted to it,
and none may be: it is what is left to test on.

Three worlds of different structure: a network of friends, game lobbies and guilds, an app of videos and strangers. All
accounts live by the same rules; what others do follows from what they can see of an account, never from its label.
"""
