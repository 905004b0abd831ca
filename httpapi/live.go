package httpapi

func liveRoutes() []route { return nil }
