"""Campaigns that break bakeoff at random places, many times, and look whether anything was lost, doubled or hung."""
