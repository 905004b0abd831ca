package httpapi

func pipelineRoutes() []route { return nil }
