// The overview: what took too long to count for the first request.
import { fill } from "./counting.js";

fill("holdings");
